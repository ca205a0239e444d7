"""Job: will the broker's access token see the session through? It only looks; the token's keeper renews and asks."""

from __future__ import annotations

import asyncio

from algo_scalper.runtime.broker_account import broker_account
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.jobs.job import Due, Ground, Told
from algo_scalper.runtime.token_care import TokenFacts, prospect


async def check_token(ground: Ground, _: Due) -> Told:
    """The light of the token in use, of the environment or the store, whichever lasts longer."""
    now_ns = ground.clock.now_ns()
    account = await asyncio.to_thread(broker_account, ground.settings, ground.data_dir, now_ns)
    if not account.chosen.access_token:
        return Told(Light.RED, "; ".join((account.chosen.sentence, *account.notices)))
    told = prospect(
        TokenFacts(
            now_ns,
            account.chosen.expires_ns,
            can_mint=account.means.can_mint,
            web_made=account.chosen.web_made,
        )
    )
    return Told(told.light, "; ".join(part for part in (told.sentence, told.remedy) if part))
