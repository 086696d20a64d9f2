//! What holds for every schedule of a kind, whatever its parameters.

// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]

mod support;

use firecraft_key::Key;
use firecraft_schedule::*;
use firecraft_spec::{Spec, Value};
use proptest::prelude::*;
use support::{closed_form, registries};

fn build(spec: &Spec) -> BoxScheduler {
    registries().build::<Schedulers>(spec).unwrap()
}

/// A closed form over updates, and the same spec to build another one from.
fn over_updates(seed: u64) -> Spec {
    closed_form(&mut Key::from_seed(seed).rng()).with("unit", "updates")
}

fn values(scheduler: &mut dyn Scheduler, n: u64) -> Vec<f64> {
    (0..n)
        .map(|update| step_value(scheduler, &StepContext::at(update)))
        .collect()
}

fn at(seed: u64, updates: impl Iterator<Item = u64>) -> Vec<f64> {
    let mut schedule = build(&over_updates(seed));
    updates
        .map(|update| step_value(&mut schedule, &StepContext::at(update)))
        .collect()
}

/// A decay from `start` to `end`.
fn decay(which: usize, start: f64, end: f64, length: f64, power: f64) -> Box<dyn Schedule> {
    match which {
        0 => Box::new(LinearConfig::new(start, end, length).init().unwrap()),
        1 => {
            let config = PolynomialConfig::new(start, length)
                .with_end(end)
                .with_power(power);
            Box::new(config.init().unwrap())
        }
        2 => {
            let config = CosineConfig::new(start, length).with_end(end);
            Box::new(
                config
                    .with_exponent(power)
                    .with_k_decay(power)
                    .init()
                    .unwrap(),
            )
        }
        3 => Box::new(TanhConfig::new(start, length).with_end(end).init().unwrap()),
        4 => Box::new(RexConfig::new(start, length).with_end(end).init().unwrap()),
        5 => Box::new(
            FlatCosineConfig::new(start, length)
                .with_end(end)
                .init()
                .unwrap(),
        ),
        6 => {
            let config = WarmupStableDecayConfig::new(start, 0.0, length / 2.0, length / 2.0);
            let config = config.with_end(end).with_decay_curve(Curve::Power(power));
            Box::new(config.init().unwrap())
        }
        _ => {
            let config = ExponentialConfig::new(start, 1.0 / (1.0 + power));
            Box::new(config.with_length(length).with_end(end).init().unwrap())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn decays_stay_between_their_ends_and_never_rise(
        which in 0..8_usize, start in 0.01..2.0_f64, fraction in 0.0..1.0_f64,
        length in 0.5..500.0_f64, power in 0.2..4.0_f64, a in 0.0..2.0_f64, b in 0.0..2.0_f64,
    ) {
        let end = start * fraction;
        let schedule = decay(which, start, end, length, power);
        let (a, b) = (a.min(b) * length, a.max(b) * length);
        let slack = 1e-12 * start;
        for at in [0.0, a, b, 1e18] {
            let value = schedule.value(at);
            prop_assert!(value <= start + slack && value >= end - slack, "{at}: {value}");
        }
        prop_assert!(schedule.value(a) >= schedule.value(b) - slack);
    }

    #[test]
    fn every_closed_form_is_finite_at_every_position(seed: u64, at in any::<u64>()) {
        let mut schedule = build(&closed_form(&mut Key::from_seed(seed).rng()));
        let horizon = Horizon::epochs(10, 100);
        for update in [0, at % 1000, at >> 16] {
            let value = step_value(&mut schedule, &horizon.at(update));
            // Growth without end is the user's wish; no number never is.
            prop_assert!(!value.is_nan());
        }
    }

    #[test]
    fn a_prefix_warm_up_ramps_to_the_schedule_and_shifts_it(seed: u64, length in 0..40_u64) {
        let inner = over_updates(seed);
        let first = at(seed, 0..1)[0];
        let mut warm = build(&inner).warmup(length as f64).unwrap();
        let values = values(&mut warm, length + 60);
        prop_assert_eq!(&values[length as usize..], at(seed, 0..60));
        prop_assert!(values[..length as usize].windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert!(values[..length as usize].iter().all(|v| *v <= first && *v >= 0.0));
    }

    #[test]
    fn a_sequence_is_its_parts_one_after_the_other(a: u64, b: u64, length in 1..40_u64) {
        let mut both = build(&over_updates(a))
            .then(length as f64, build(&over_updates(b)))
            .unwrap();
        let mut expected = at(a, 0..length);
        expected.extend(at(b, 0..50));
        prop_assert_eq!(values(&mut both, length + 50), expected);
    }

    #[test]
    fn a_repetition_has_the_period_of_its_length(seed: u64, length in 1..30_u64) {
        let mut repeat = build(&over_updates(seed)).repeat(length as f64).unwrap();
        let expected = at(seed, (0..4).flat_map(|_| 0..length));
        prop_assert_eq!(values(&mut repeat, 4 * length), expected);
    }

    #[test]
    fn combinations_are_what_they_are_called(a: u64, b: u64) {
        let pair = || (build(&over_updates(a)), build(&over_updates(b)));
        let (x, y) = (at(a, 0..60), at(b, 0..60));
        let check = |combined: Result<Combined, ScheduleError>, f: fn(f64, f64) -> f64| {
            let expected: Vec<f64> = x.iter().zip(&y).map(|(&x, &y)| f(x, y)).collect();
            values(&mut combined.unwrap(), 60) == expected
        };
        let (s, t) = pair();
        prop_assert!(check(s.times(t), |x, y| x * y));
        let (s, t) = pair();
        prop_assert!(check(s.plus(t), |x, y| x + y));
        let (s, t) = pair();
        prop_assert!(check(SchedulerExt::min(s, t), f64::min));
        let (s, t) = pair();
        prop_assert!(check(SchedulerExt::max(s, t), f64::max));
    }

    #[test]
    fn clamped_values_stay_in_bounds_and_inverting_twice_is_the_identity(
        seed: u64, low in 0.0..0.5_f64, width in 0.0..0.5_f64,
    ) {
        let schedule = || build(&over_updates(seed));
        let high = low + width;
        let mut clamped = SchedulerExt::clamp(schedule(), low, high).unwrap();
        prop_assert!(values(&mut clamped, 60).iter().all(|v| (low..=high).contains(v)));
        let mut twice = schedule().invert(low, high).unwrap().invert(low, high).unwrap();
        for (twice, once) in values(&mut twice, 60).into_iter().zip(at(seed, 0..60)) {
            prop_assert!((twice - once).abs() <= 1e-14 * (1.0 + once.abs()));
        }
    }

    #[test]
    fn a_plateau_value_never_rises_and_never_leaves_its_range(
        metrics in prop::collection::vec(any::<f64>(), 0..80),
        patience in 0..5_u64, cooldown in 0..5_u64, factor in 0.05..0.95_f64,
        min in 0.0..0.5_f64, rule in 0..3_usize,
    ) {
        let rule = [PlateauRule::Keras, PlateauRule::Torch, PlateauRule::Optax][rule];
        let config = ReduceOnPlateauConfig::new(1.0)
            .with_patience(patience).with_cooldown(cooldown).with_factor(factor)
            .with_min(min).with_rule(rule);
        let mut plateau = config.init().unwrap();
        let mut last = 1.0;
        for (update, metric) in (0..).zip(metrics) {
            let context = StepContext::at(update).with_metric(metric);
            let value = step_value(&mut plateau, &context);
            prop_assert!(value <= last && value >= min);
            last = value;
        }
    }

    #[test]
    fn a_plateau_does_not_fall_while_the_metric_improves(n in 1..50_usize, patience in 1..5_u64) {
        let mut plateau = ReduceOnPlateauConfig::new(1.0).with_patience(patience).init().unwrap();
        for update in 0..n {
            let context = StepContext::at(update as u64).with_metric(-(update as f64));
            prop_assert_eq!(step_value(&mut plateau, &context), 1.0);
        }
    }

    #[test]
    fn specs_survive_toml_and_json(seed: u64) {
        let spec = support::scheduler(&mut Key::from_seed(seed).rng(), 3);
        let toml: Spec = toml::from_str(&toml::to_string(&spec).unwrap()).unwrap();
        prop_assert_eq!(&toml, &spec);
        let json: Spec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        prop_assert_eq!(json.type_name, spec.type_name);
    }
}

#[test]
fn configurations_survive_toml_and_json() {
    fn survives<C: ScheduleConfig + PartialEq + std::fmt::Debug>(config: &C) {
        let toml: C = toml::from_str(&toml::to_string(config).unwrap()).unwrap();
        assert_eq!(&toml, config);
        let json: C = serde_json::from_str(&serde_json::to_string(config).unwrap()).unwrap();
        assert_eq!(&json, config);
        let spec = Spec::from_config(C::TYPE, config).unwrap();
        assert_eq!(&spec.parse::<C>().unwrap(), config);
        assert!(
            spec.with("no such field", Value::Null)
                .parse::<C>()
                .is_err()
        );
    }
    survives(&CosineConfig::torch(0.1, 100.0, 0.01));
    survives(&PolynomialConfig::new(0.1, 100.0).with_cycle(true));
    survives(&ExponentialConfig::new(0.1, 0.5).with_end(0.01));
    survives(&MultiStepConfig::new(0.1, [1.0, 2.0]));
    survives(&PiecewiseConstantConfig::keras([1.0], [0.5, 0.25]));
    survives(&PiecewiseConfig::new([(0.0, 1.0), (2.0, 0.5)]).with_curve(Curve::Power(2.0)));
    survives(&InverseTimeDecayConfig::new(0.1, 0.01).with_staircase(true));
    survives(&InverseSqrtConfig::t5(1.0, 100.0));
    survives(&WarmRestartsConfig::keras(0.1, 10.0, 2.0, 0.5, 0.1).with_cycles(3u64));
    survives(&OneCycleConfig::new(0.1, 100.0).with_three_phase(true));
    survives(&OneCycleConfig::new(0.1, 100.0).momentum(0.8, 0.9));
    survives(
        &CyclicConfig::new(0.1, 0.2, 5.0)
            .with_down(3.0)
            .with_inverse(true),
    );
    survives(
        &WarmupStableDecayConfig::new(0.1, 1.0, 2.0, 3.0).with_stable_phase(StablePhase::Power {
            timescale: 3.0,
            power: 0.5,
        }),
    );
    survives(&ChebyshevConfig::new(0.1, 16));
    survives(&TanhConfig::new(0.1, 16.0).with_lower(-5.0));
}
