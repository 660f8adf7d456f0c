//! Keys `budget`, `clock` and `coalesce` of an outbound: how much of an exchange's limits is spent, how far its time is
//! trusted, and how long an answer to a public question is good for all. Never without a bound: absent keys mean the
//! defaults.

use std::time::Duration;

use crate::ledger::exchange::{BudgetSettings, ClockSettings};
use crate::model::decode::Fields;

use super::numbers::{HOUR, Percent, SECOND, Time};

/// What an outbound says of limits and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeSettings {
    /// How much of the limits is spent.
    pub budget: BudgetSettings,
    /// How far the exchange's time is trusted.
    pub clock: ClockSettings,
    /// For how long an answer to a public question is given to all; `None` if everybody asks for themselves.
    pub coalesce: Option<Duration>,
}

/// A tenth is left for what is not seen from here: others behind the same address, and answers that were lost. Another
/// tenth is kept for cancels, so that a busy strategy can always get out.
const BUDGET: BudgetSettings = BudgetSettings {
    use_percent: 90,
    cancels_keep_percent: 10,
};

/// A machine that is five seconds off has no working NTP. The clock is asked every 40 s: three answers may be lost.
const CLOCK: ClockSettings = ClockSettings {
    max_offset: Duration::from_secs(5),
    max_age: Duration::from_secs(120),
};

/// Reads the keys.
pub fn read(fields: &mut Fields<'_>) -> ExchangeSettings {
    let budget = fields.section(
        "budget",
        "how much of the exchange's limits is spent",
        |fields| Some(read_budget(fields)),
    );
    let clock = fields.section(
        "clock",
        "how far the exchange's time is trusted",
        |fields| Some(read_clock(fields)),
    );
    let coalesce = fields.optional::<Time<0, { 10 * SECOND }>>(
        "coalesce",
        "for how long an answer to a public GET is given to all who ask the same; absent: each asks for itself",
    );
    ExchangeSettings {
        budget: budget.unwrap_or(BUDGET),
        clock: clock.unwrap_or(CLOCK),
        coalesce: coalesce.map(|time| time.0),
    }
}

fn read_budget(fields: &mut Fields<'_>) -> BudgetSettings {
    let spent = fields.or(
        "use",
        "the most that is spent of each limit",
        "90%",
        Percent::<1, 100>(BUDGET.use_percent),
    );
    let kept = fields.or(
        "cancels_keep",
        "the part of each limit, within `use`, that only cancels spend",
        "10%",
        // Without a word in the file half of what there is stays for orders.
        Percent::<0, 99>(BUDGET.cancels_keep_percent.min(spent.0 / 2)),
    );
    if kept.0 >= spent.0 {
        let place = fields.place_of("cancels_keep");
        let message = format!(
            "{}% for cancels leaves nothing of {}% for orders",
            kept.0, spent.0
        );
        fields.error(&place, message, "lower `cancels_keep`, or raise `use`");
    }
    BudgetSettings {
        use_percent: spent.0,
        cancels_keep_percent: kept.0,
    }
}

fn read_clock(fields: &mut Fields<'_>) -> ClockSettings {
    let offset = fields.or(
        "max_offset",
        "how far this machine's clock and the exchange's may be apart; 503 beyond",
        "5s",
        Time::<100, { 24 * HOUR }>(CLOCK.max_offset),
    );
    let age = fields.or(
        "max_age",
        "how old the newest comparison of the two may be; 503 beyond",
        "2m",
        Time::<{ 10 * SECOND }, HOUR>(CLOCK.max_age),
    );
    ClockSettings {
        max_offset: offset.0,
        max_age: age.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;
    use crate::model::decode::{describe_section, read_section};
    use crate::model::fault::Faults;

    fn settings(text: &str) -> Result<ExchangeSettings, String> {
        let mut faults = Faults::default();
        let node = yaml::parse(text, &mut faults).unwrap();
        let settings = read_section(&node, &mut faults, |fields| Some(read(fields)));
        let said = || faults.into_sorted().into_iter().map(|fault| fault.message);
        settings.ok_or_else(|| said().collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        for text in [
            "{}",
            "budget: {}",
            "budget: {}\nclock: {}",
            "budget: { use: 90% }",
        ] {
            let settings = settings(text).unwrap();
            assert_eq!((settings.budget, settings.clock), (BUDGET, CLOCK), "{text}");
            assert_eq!(settings.coalesce, None);
        }
        let little = settings("budget: { use: 5% }").unwrap().budget;
        assert_eq!((little.use_percent, little.cancels_keep_percent), (5, 2));
    }

    #[test]
    fn what_is_said_counts() {
        let text = "budget: { use: 100%, cancels_keep: 0% }\nclock: { max_offset: 1h, max_age: 10s }\ncoalesce: 250ms";
        let settings = settings(text).unwrap();
        assert_eq!(settings.budget.use_percent, 100);
        assert_eq!(settings.budget.cancels_keep_percent, 0);
        assert_eq!(settings.clock.max_offset, Duration::from_secs(3_600));
        assert_eq!(settings.clock.max_age, Duration::from_secs(10));
        assert_eq!(settings.coalesce, Some(Duration::from_millis(250)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, message) in [
            ("budget: { use: 0% }", "`0%` is not a share from 1% to 100%"),
            (
                "budget: { use: 101% }",
                "`101%` is not a share from 1% to 100%",
            ),
            ("budget: { use: 90 }", "`90` is not a share from 1% to 100%"),
            (
                "budget: { use: 0.9 }",
                "`0.9` is not a share from 1% to 100%",
            ),
            (
                "budget: { use: 090% }",
                "`090%` is not a share from 1% to 100%",
            ),
            (
                "budget: { use: -9% }",
                "`-9%` is not a share from 1% to 100%",
            ),
            (
                "budget: { use: 300% }",
                "`300%` is not a share from 1% to 100%",
            ),
            (
                "budget: { cancels_keep: 90% }",
                "90% for cancels leaves nothing of 90% for orders",
            ),
            ("budget: { keep: 1% }", "unknown key `keep`"),
            (
                "clock: { max_offset: 50ms }",
                "`50ms` is out of range; write a time from 100ms to 1d",
            ),
            (
                "clock: { max_age: 2h }",
                "`2h` is out of range; write a time from 10s to 1h",
            ),
            (
                "coalesce: 11s",
                "`11s` is out of range; write a time from 0 to 10s",
            ),
            (
                "coalesce: true",
                "`true` is not a duration (like 250ms, 30s, 15m, 12h or 7d)",
            ),
        ] {
            assert_eq!(settings(text), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_schema_names_the_keys_and_their_defaults() {
        let schema = describe_section(|fields| Some(read(fields)));
        for (pointer, default) in [
            ("/properties/budget/properties/use", "90%"),
            ("/properties/budget/properties/cancels_keep", "10%"),
            ("/properties/clock/properties/max_offset", "5s"),
            ("/properties/clock/properties/max_age", "2m"),
        ] {
            let key = schema.pointer(pointer).unwrap();
            assert_eq!(key.get("default").unwrap(), default, "{pointer}");
        }
        assert!(schema.pointer("/properties/coalesce/pattern").is_some());
    }
}
