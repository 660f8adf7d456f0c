//! The exchange's time while networks are slow, clocks drift, step and lie.

use proptest::prelude::*;

use super::*;

const SETTINGS: ClockSettings = ClockSettings {
    max_offset: Duration::from_secs(5),
    max_age: Duration::from_secs(120),
};

/// This machine's clock when the process began: 2026-11-22T00:00:00Z.
const START_US: i64 = 1_795_305_600_000_000;

/// A machine: the exchange's clock minus this one's, and how far this one's was set since the start.
#[derive(Clone, Copy, Debug, Default)]
struct World {
    mono_ms: i64,
    offset_ms: i64,
    set_ms: i64,
}

impl World {
    fn now(self) -> Now {
        Now {
            mono_ns: u64::try_from(self.mono_ms).unwrap() * 1_000_000,
            unix_us: START_US + (self.mono_ms + self.set_ms) * 1_000,
        }
    }

    fn later(mut self, millis: i64) -> Self {
        self.mono_ms += millis;
        self
    }

    /// What the exchange's clock shows now, in microseconds.
    fn truth_us(self) -> i64 {
        START_US + (self.mono_ms + self.offset_ms) * 1_000
    }

    /// Asks; the way there and the way back take so long. Says what became of it.
    fn ask(&mut self, clock: &ExchangeClock, there: i64, back: i64) -> Noted {
        let sent = self.now();
        *self = self.later(there);
        let shown = ServerTime::from_ms(self.truth_us().div_euclid(1_000));
        *self = self.later(back);
        clock.note(sent, self.now(), shown)
    }
}

fn clock() -> ExchangeClock {
    ExchangeClock::new(SETTINGS)
}

/// A clock that was compared three times within a second.
fn synced(offset_ms: i64) -> (ExchangeClock, World) {
    let (clock, mut world) = (
        clock(),
        World {
            offset_ms,
            ..World::default()
        },
    );
    for _ in 0..3 {
        assert_eq!(world.ask(&clock, 10, 10), Noted::Agrees);
        world = world.later(300);
    }
    (clock, world)
}

#[track_caller]
fn assert_right(clock: &ExchangeClock, world: World) {
    let time = clock.corrected(world.now()).unwrap();
    let off = time.unix_us.abs_diff(world.truth_us());
    assert!(
        u128::from(off) <= time.uncertainty.as_micros(),
        "{off} us, {time:?}"
    );
}

#[test]
fn a_clock_that_was_never_compared_says_so() {
    let world = World::default();
    assert_eq!(clock().corrected(world.now()), Err(Unsynced::Never));
    let moment = clock().moment(world.now());
    assert_eq!(moment.exchange_us(), START_US);
    assert_eq!(moment, Moment::new(0, START_US, 5_000_000));
    let shown = clock().shown(world.now());
    assert_eq!(
        (shown.offset_us, shown.unsynced),
        (None, Some(Unsynced::Never))
    );
}

#[test]
fn the_smallest_round_trip_counts() {
    let (clock, mut world) = (
        clock(),
        World {
            offset_ms: 1_500,
            ..World::default()
        },
    );
    for (there, back) in [(900, 10), (400, 100), (7, 3), (10, 800), (500, 500)] {
        world.ask(&clock, there, back);
        world = world.later(1_000);
        assert_right(&clock, world);
    }
    let time = clock.corrected(world.now()).unwrap();
    assert!(time.uncertainty < Duration::from_millis(8), "{time:?}");
    let offset_us = clock.shown(world.now()).offset_us.unwrap();
    assert!((1_495_000..1_505_000).contains(&offset_us), "{offset_us}");
}

#[test]
fn microseconds_are_exact_to_the_microsecond() {
    let clock = clock();
    let world = World::default();
    clock.note(world.now(), world.now(), ServerTime::from_us(START_US + 7));
    let time = clock.corrected(world.now()).unwrap();
    assert_eq!(
        (time.unix_us, time.uncertainty),
        (START_US + 7, Duration::from_micros(1))
    );
    assert_eq!(time.unix_ms(), START_US / 1_000);
}

#[test]
fn minutes_are_corrected_only_where_the_configuration_says_so() {
    for minutes in [-3, 3] {
        let (clock, world) = synced(minutes * 60_000);
        let Err(Unsynced::TooFarOff { offset_us }) = clock.corrected(world.now()) else {
            panic!("{minutes} minutes pass");
        };
        assert!(
            (offset_us - minutes * 60_000_000).abs() < 20_000,
            "{offset_us}"
        );
        let max_offset = Duration::from_secs(300);
        let wide = clock.with(ClockSettings {
            max_offset,
            ..SETTINGS
        });
        assert_right(&wide, world);
        // Windows of budgets are the exchange's all the same.
        let exchange_us = clock.moment(world.now()).exchange_us();
        assert!(exchange_us.abs_diff(world.truth_us()) < 20_000);
    }
}

#[test]
fn an_old_comparison_does_not_count() {
    let (clock, world) = synced(0);
    let newest = world.later(-300);
    assert_right(&clock, newest.later(120_000));
    let old = clock.corrected(newest.later(120_001).now());
    assert_eq!(
        old,
        Err(Unsynced::TooOld {
            age: Duration::from_millis(120_001)
        })
    );
}

#[test]
fn what_took_too_long_or_saw_the_clock_set_says_nothing() {
    let (clock, mut world) = (clock(), World::default());
    assert_eq!(world.ask(&clock, 9_999, 2), Noted::Useless);
    let sent = world.now();
    let set = World {
        set_ms: 3_000,
        ..world.later(20)
    };
    assert_eq!(
        clock.note(sent, set.now(), ServerTime::from_us(world.truth_us())),
        Noted::Useless
    );
    assert_eq!(
        clock.note(set.now(), sent, ServerTime::from_us(world.truth_us())),
        Noted::Useless
    );
    assert_eq!(clock.corrected(world.now()), Err(Unsynced::Never));
    // Slow, and not exact enough to be signed.
    assert_eq!(world.ask(&clock, 2_000, 2_000), Noted::Agrees);
    assert!(matches!(
        clock.corrected(world.now()),
        Err(Unsynced::Uncertain { .. })
    ));
    assert_eq!(world.ask(&clock, 20, 20), Noted::Agrees);
    assert_right(&clock, world);
}

#[test]
fn an_exchange_whose_clock_is_set_is_believed_when_it_says_so_twice() {
    for step in [-86_400_000, -2_000, -200, 200, 2_000, 86_400_000] {
        let (clock, mut world) = synced(0);
        let wide = clock.with(ClockSettings {
            max_offset: Duration::from_secs(90_000),
            ..SETTINGS
        });
        world.offset_ms += step;
        assert_eq!(world.ask(&clock, 10, 10), Noted::Suspect, "{step}");
        assert_eq!(wide.corrected(world.now()), Err(Unsynced::Stepped));
        assert_eq!(world.ask(&clock, 10, 10), Noted::Stepped);
        assert_right(&wide, world);
        assert_eq!(clock.shown(world.now()).steps, 1);
    }
}

#[test]
fn one_wrong_answer_is_outvoted() {
    let (clock, mut world) = synced(0);
    world.offset_ms = 60_000;
    assert_eq!(world.ask(&clock, 10, 10), Noted::Suspect);
    world.offset_ms = 0;
    assert_eq!(world.ask(&clock, 10, 10), Noted::Agrees);
    assert_right(&clock, world);
    // An exchange whose machines disagree all the time is never believed.
    for offset_ms in [60_000, -60_000, 30_000, -30_000] {
        world.offset_ms = offset_ms;
        assert_eq!(world.ask(&clock, 10, 10), Noted::Suspect);
        assert_eq!(clock.corrected(world.now()), Err(Unsynced::Stepped));
    }
}

#[test]
fn this_machines_clock_set_or_suspended_needs_a_new_comparison() {
    for set_ms in [-3_600_000, -600, 600, 3_600_000] {
        // The clock was set: the monotonic one went on.
        let (clock, mut world) = synced(0);
        let wide = clock.with(ClockSettings {
            max_offset: Duration::from_secs(4_000),
            ..SETTINGS
        });
        world.set_ms = set_ms;
        assert_eq!(
            wide.corrected(world.now()),
            Err(Unsynced::LocalStepped),
            "{set_ms}"
        );
        let exchange_us = clock.moment(world.now()).exchange_us();
        assert!(
            exchange_us.abs_diff(world.truth_us()) < 20_000,
            "budgets go on as they were"
        );
        assert_eq!(world.ask(&clock, 10, 10), Noted::LocalStepped);
        assert_right(&wide, world);
        assert_eq!(clock.shown(world.now()).local_steps, 1);
    }
    // The machine was suspended for an hour: both real clocks went on, the monotonic one did not.
    let (clock, mut world) = synced(100);
    (world.set_ms, world.offset_ms) = (3_600_000, 3_600_100);
    assert_eq!(clock.corrected(world.now()), Err(Unsynced::LocalStepped));
    assert_eq!(world.ask(&clock, 10, 10), Noted::LocalStepped);
    assert_right(&clock, world);
}

#[test]
fn correction_by_half_a_thousandth_is_no_step() {
    let (clock, mut world) = synced(0);
    world = world.later(100_000);
    world.set_ms += 50;
    world.offset_ms += 0;
    assert!(clock.corrected(world.now()).is_ok());
}

#[test]
fn the_schedule_is_quick_until_it_is_synced_and_slow_while_it_fails() {
    let (clock, mut world) = (clock(), World::default());
    let next = |world: World, failures| clock.next_sample(world.now(), failures, 0).as_millis();
    for _ in 0..3 {
        assert_eq!(next(world, 0), 250);
        world.ask(&clock, 10, 10);
    }
    assert_eq!(next(world, 0), 40_000);
    let waits = [1, 2, 3, 4, 5, 6, 7, 40, u32::MAX].map(|failures| next(world, failures));
    assert_eq!(
        waits,
        [
            1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000
        ]
    );
    assert_eq!(next(world.later(200_000), 0), 1_000);
    world.offset_ms = 70_000;
    world.ask(&clock, 10, 10);
    assert_eq!(next(world, 0), 250, "while it contradicts itself");
    world.ask(&clock, 10, 10);
    world.ask(&clock, 10, 10);
    assert_eq!(next(world, 0), 1_000, "while it is too far off");
    let short = clock.with(ClockSettings {
        max_offset: Duration::from_secs(90),
        max_age: Duration::from_secs(10),
    });
    assert_eq!(short.next_sample(world.now(), 0, 0).as_millis(), 3_333);
    for chance in [0, 1, 500, 999, 1_000, u32::MAX] {
        let pause = short.next_sample(world.now(), 0, chance).as_millis();
        assert!((2_666..=3_333).contains(&pause), "{chance}: {pause}");
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let (clock, mut world) = synced(0);
    for _ in 0..1_000 {
        world.ask(&clock, 1, 1);
    }
    assert_eq!(clock.state().samples.len(), SAMPLES_MAX);
    for extreme in [i64::MIN, i64::MAX] {
        for server in [ServerTime::from_ms(extreme), ServerTime::from_us(extreme)] {
            clock.note(world.now(), world.now(), server);
            clock.note(world.now(), world.now(), server);
            let moment = clock.moment(Now {
                mono_ns: u64::MAX,
                unix_us: extreme,
            });
            assert_eq!(moment.mono_ns(), u64::MAX);
            assert!(clock.corrected(world.now()).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However slow and lopsided the network, and while the clocks drift apart by as much as clocks do, the truth lies
    /// within what is said.
    #[test]
    fn the_truth_lies_within_the_uncertainty(
        offset_ms in -4_000..4_000_i64,
        drift_ppm in -90..90_i64,
        asks in prop::collection::vec((0..700_i64, 0..700_i64, 0..60_000_i64), 1..20),
    ) {
        let clock = clock();
        let mut mono_us = 0_i64;
        let now = |mono_us: i64| Now {
            mono_ns: u64::try_from(mono_us).unwrap() * 1_000,
            unix_us: START_US + mono_us,
        };
        let truth = |mono_us: i64| START_US + offset_ms * 1_000 + mono_us + mono_us * drift_ppm / 1_000_000;
        for (there, back, wait) in asks {
            let sent = now(mono_us);
            mono_us += there * 1_000;
            let shown = truth(mono_us).div_euclid(1_000);
            mono_us += back * 1_000;
            prop_assert_eq!(clock.note(sent, now(mono_us), ServerTime::from_ms(shown)), Noted::Agrees);
            mono_us += wait * 1_000;
            let time = clock.corrected(now(mono_us)).unwrap();
            let off = time.unix_us.abs_diff(truth(mono_us));
            prop_assert!(u128::from(off) <= time.uncertainty.as_micros() + 1, "{} {:?}", off, time);
        }
    }
}
