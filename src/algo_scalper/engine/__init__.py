"""The deterministic core: ``Engine.handle(event) -> commands``. The only code that changes state."""
