//! A schedule that is saved and restored goes on as if nothing had happened.

// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]

mod support;

use firecraft_key::Key;
use firecraft_schedule::{BoxScheduler, Horizon, Schedulers, State, StepContext};
use firecraft_spec::Spec;
use proptest::prelude::*;
use support::{registries, scheduler};

/// A run with evaluations after each epoch, NaN among them.
fn run(seed: u64, epochs: u64, per_epoch: u64) -> Vec<StepContext> {
    let horizon = Horizon::epochs(epochs, per_epoch);
    let mut rng = Key::from_seed(seed).named("metrics").rng();
    let contexts = (0..epochs * per_epoch).map(|update| {
        let mut context = horizon.at(update);
        if update > 0 && update.is_multiple_of(per_epoch) {
            let noise = rng.uniform_f64();
            let metric = 1.0 / context.epoch as f64 + 0.3 * noise;
            context.metric = Some(if noise < 0.1 { f64::NAN } else { metric });
        }
        context
    });
    contexts.collect()
}

fn build(spec: &Spec) -> BoxScheduler {
    registries().build::<Schedulers>(spec).unwrap()
}

fn values(scheduler: &mut BoxScheduler, contexts: &[StepContext]) -> Vec<u64> {
    let mut out = [f64::NAN];
    let step = |context| {
        scheduler.step(context, &mut out);
        out[0].to_bits()
    };
    contexts.iter().map(step).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_schedule_split_anywhere_equals_the_whole(
        seed: u64, epochs in 2..9_u64, per_epoch in 1..12_u64, split in 0.0..1.0_f64,
    ) {
        let spec = scheduler(&mut Key::from_seed(seed).rng(), 3);
        let contexts = run(seed, epochs, per_epoch);
        let whole = values(&mut build(&spec), &contexts);
        let split = (split * contexts.len() as f64) as usize;

        let mut first = build(&spec);
        let mut resumed = values(&mut first, &contexts[..split]);
        // Through text, as a checkpoint does.
        let text = toml::to_string(&first.state()).unwrap();
        let state: State = toml::from_str(&text).unwrap();
        let text = serde_json::to_string(&first.state()).unwrap();
        prop_assert_eq!(&serde_json::from_str::<State>(&text).unwrap(), &state);
        let mut second = build(&spec);
        second.restore(&state).unwrap();
        prop_assert_eq!(second.state(), state);
        resumed.extend(values(&mut second, &contexts[split..]));
        prop_assert_eq!(resumed, whole, "{}", spec);
    }

    #[test]
    fn every_number_survives_json_and_toml_bit_for_bit(bits: u64) {
        let value = f64::from_bits(bits);
        let state = State::new("any", 1).with("value", value);
        let bits_of = |state: State| {
            let value = state.open("any", 1).unwrap().get::<f64>("value").unwrap();
            // All NaN are one.
            if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
        };
        let json = serde_json::to_string(&state).unwrap();
        let toml = toml::to_string(&state).unwrap();
        let expected = bits_of(state);
        prop_assert_eq!(bits_of(serde_json::from_str(&json).unwrap()), expected, "{}", json);
        prop_assert_eq!(bits_of(toml::from_str(&toml).unwrap()), expected, "{}", toml);
    }

    #[test]
    fn the_state_of_another_schedule_is_refused(a: u64, b: u64) {
        let one = scheduler(&mut Key::from_seed(a).rng(), 2);
        let other = scheduler(&mut Key::from_seed(b).rng(), 2);
        let (mut one_built, other_built) = (build(&one), build(&other));
        let restored = one_built.restore(&other_built.state());
        if one.type_name != other.type_name && restored.is_ok() {
            // Names differ, so the saved types must; peers' names may share one.
            prop_assert_eq!(one_built.state().type_name, other_built.state().type_name);
        }
    }

    #[test]
    fn a_preview_shows_what_the_run_will_do(seed: u64) {
        let spec = scheduler(&mut Key::from_seed(seed).rng(), 2);
        let horizon = Horizon::epochs(8, 10);
        let mut scheduler = build(&spec);
        prop_assume!(scheduler.check(&horizon).is_ok());
        let preview = firecraft_schedule::Preview::of(&mut scheduler, &horizon).unwrap();
        let contexts: Vec<StepContext> = (0..80).map(|update| horizon.at(update)).collect();
        let bits: Vec<u64> = preview.values(0).iter().map(|value| value.to_bits()).collect();
        prop_assert_eq!(bits, values(&mut scheduler, &contexts));
    }
}
