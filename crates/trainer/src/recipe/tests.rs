//! Recipes as text, their ranges, and the trainer that they make.

use super::*;
use crate::loss::{Answers, RegressionLoss};
use crate::task::Supervised;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use firecraft_spec::Registries;

#[derive(Module, Debug)]
struct Net {
    layer: Linear,
}

impl Supervised for Net {
    type Input = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.layer.forward(x)
    }
}

fn recipe() -> Recipe {
    Recipe {
        seed: 3,
        model: Spec::new("convnet").with("channels", vec![16, 32]),
        augment: vec![Spec::new("rotation").with("degrees", 10.0)],
        ..Recipe::default()
    }
}

#[test]
fn recipes_round_trip_through_toml_and_json() {
    let text = recipe().to_toml().unwrap();
    assert_eq!(Recipe::parse(&text).unwrap(), recipe());
    let json = serde_json::to_string(&recipe()).unwrap();
    assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe());
}

/// With everything that is left out of a file by default.
fn full() -> Recipe {
    Recipe {
        accumulate_from: vec![AccumulateFrom {
            epoch: 3,
            batches: 4,
        }],
        batches_per_epoch: Some(10),
        validate_every: 2,
        validate_every_updates: Some(5),
        validation_batches: Some(7),
        max_updates: Some(100),
        min_epochs: 1,
        monitor: "val_accuracy".into(),
        non_finite: NonFinite::Rewind {
            factor: 0.5,
            at_most: 3,
        },
        schedule: Spec::new("constant").with("value", 0.1),
        clip: Clip::GlobalNorm { max: 1.0 },
        average: Some(Average::equal().start(10).recalibrate(20)),
        penalties: vec![Penalty::l2(1e-4), Penalty::l1(1e-5)],
        mixing: Some(Mixing::mixup(0.2)),
        callbacks: vec![
            Spec::new("early_stopping").with("patience", 5),
            Spec::new("terminate_on_nan"),
        ],
        ..recipe()
    }
}

#[test]
fn every_setting_round_trips_and_unknown_ones_inside_are_refused() {
    let text = full().to_toml().unwrap();
    assert_eq!(Recipe::parse(&text).unwrap(), full());
    let json = serde_json::to_string(&full()).unwrap();
    assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), full());
    for (from, to) in [
        ("[clip]", "[clip]\ncolour = 1"),
        ("[average]", "[average]\ncolour = 1"),
        ("[mixing]", "[mixing]\ncolour = 1"),
        ("[[penalties]]", "[[penalties]]\ncolour = 1"),
        ("[[accumulate_from]]", "[[accumulate_from]]\ncolour = 1"),
        ("[non_finite.rewind]", "[non_finite.rewind]\ncolour = 1"),
        ("[optimizer]", "[optimizer]\ncolour = 1"),
    ] {
        assert!(text.contains(from), "{from} in {text}");
        let odd = text.replacen(from, to, 1);
        let error = Recipe::parse(&odd).unwrap_err().to_string();
        assert!(error.contains("colour"), "{from}: {error}");
    }
}

#[test]
fn ranges_of_all_settings_are_checked() {
    for (field, change) in [
        (
            "clip",
            (|r| r.clip = Clip::GlobalNorm { max: -1.0 }) as fn(&mut Recipe),
        ),
        ("average", |r| r.average = Some(Average::ema(2.0))),
        ("penalty", |r| r.penalties = vec![Penalty::l2(-1.0)]),
        ("mixing", |r| r.mixing = Some(Mixing::mixup(-1.0))),
        ("accumulate_from", |r| r.accumulate_from[0].batches = 0),
        ("validate_every_updates", |r| {
            r.validate_every_updates = Some(0)
        }),
        ("max_updates", |r| r.max_updates = Some(0)),
    ] {
        let mut recipe = full();
        change(&mut recipe);
        let error = recipe.check().unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
}

#[test]
fn a_recipe_makes_its_trainer_and_names_the_callback_that_it_cannot_build() {
    let mut registries = Registries::new();
    firecraft_schedule::register(&mut registries).unwrap();
    crate::register(&mut registries).unwrap();
    let model = || {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(2, 2).init(&device);
        Net { layer }
    };
    let trainer = full().trainer(model(), &registries).unwrap();
    let settings = &trainer.parts.settings;
    assert_eq!((settings.epochs, settings.seed), (1, 3));
    assert_eq!(settings.accumulate.at(3), 4);
    assert_eq!(settings.clip, Clip::GlobalNorm { max: 1.0 });
    assert_eq!(settings.average, full().average);
    assert_eq!(trainer.parts.penalties.len(), 2);
    assert_eq!(trainer.parts.monitor, "val_accuracy");
    let mut wrong = full();
    wrong.callbacks[1] = Spec::new("terminate_on_nun");
    let error = wrong.trainer(model(), &registries).unwrap_err().to_string();
    assert!(error.contains("did you mean `terminate_on_nan`"), "{error}");
}

#[test]
fn a_loss_is_named_or_a_cross_entropy_and_trains_with_its_metric() {
    let mut registries = Registries::new();
    crate::register(&mut registries).unwrap();
    let with = |loss: &str| {
        let text = recipe().to_toml().unwrap();
        let (before, _) = text.split_once("\n[loss]").unwrap();
        let top = format!("loss = {loss}\n");
        let rest = text.split_once("\n[optimizer]").unwrap().1;
        let before = before.split_once("\n[optimizer]").map_or(before, |b| b.0);
        let rest = rest.split_once("\n[loss]").map_or(rest, |r| r.0);
        Recipe::parse(&format!("{top}{before}\n[optimizer]{rest}")).unwrap()
    };
    let answers = |recipe: &Recipe| recipe.task(&registries).unwrap().loss.answers();
    // Files of older runs have no type.
    let untyped = with("{ label_smoothing = 0.1 }");
    let named = with("{ type = 'cross_entropy', label_smoothing = 0.1 }");
    assert_eq!(untyped, named);
    assert_eq!(answers(&named), Answers::Classes);
    assert_eq!(
        with("'jensen_shannon'")
            .task(&registries)
            .unwrap()
            .loss
            .views(),
        3
    );
    let huber = with("{ type = 'regression', rule = { type = 'huber', delta = 2.0 } }");
    assert_eq!(answers(&huber), Answers::Numbers);
    assert_eq!(Recipe::parse(&huber.to_toml().unwrap()).unwrap(), huber);
    // One of another crate is known to the registry only.
    let other = with("{ type = 'hinge', margin = 1.0 }");
    let error = other.task(&registries).err().unwrap().to_string();
    assert!(error.contains("unknown loss `hinge`"), "{error}");
    let scaled = registries.get_mut::<LossTypes>();
    scaled
        .register("hinge", "a margin", |_, _| {
            Ok(Box::new(RegressionLoss::absolute()))
        })
        .unwrap();
    assert!(other.task(&registries).is_ok());
}

#[test]
fn the_first_difference_is_named_with_both_values() {
    let mut other = recipe();
    other.augment[0] = Spec::new("rotation").with("degrees", 20.0);
    let error = recipe().expect(&other).unwrap_err().to_string();
    assert!(
        error.contains("`augment[0].degrees` is 10.0 there, 20.0 now"),
        "{error}"
    );
    other.seed = 5;
    let fields: Vec<String> = (recipe().differences(&other).unwrap().into_iter())
        .map(|difference| difference.field)
        .collect();
    assert_eq!(fields, ["seed", "augment[0].degrees"]);
    let mut other = recipe();
    other.seed = 4;
    let error = recipe().expect(&other).unwrap_err().to_string();
    assert!(error.contains("`seed` is 3 there, 4 now"), "{error}");
    assert!(recipe().expect(&recipe()).is_ok());
}

#[test]
fn unknown_fields_versions_and_ranges_are_refused() {
    let text = recipe().to_toml().unwrap();
    let extra = format!("colour = 1\n{text}");
    assert!(Recipe::parse(&extra).is_err());
    let later = text.replace("version = 1", "version = 2");
    let error = Recipe::parse(&later).unwrap_err().to_string();
    assert!(error.contains("`version` is 2"), "{error}");
    let zero = text.replace("epochs = 1", "epochs = 0");
    let error = Recipe::parse(&zero).unwrap_err().to_string();
    assert!(
        error.contains("`epochs` is 0, allowed is at least 1"),
        "{error}"
    );
    let error = Recipe::parse("seed = ").unwrap_err().to_string();
    assert!(error.contains("line 1"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}
