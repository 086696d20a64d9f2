//! From the command line to a recipe, and from a recipe to objects.

use std::path::Path;

use burn::tensor::Device;
use firecraft::augment::{
    Compose, FillMode, RandomRotationConfig, RandomTranslationConfig, RandomZoomConfig,
    Transform as _, Transforms,
};
use firecraft::data::Normalizer;
use firecraft::init::{Activation, InitPlan, Normal};
use firecraft::key::Key;
use firecraft::spec::{Registries, Spec, SpecError};
use firecraft::trainer::{AdamW, CrossEntropy, LossConfig as _, OptimizerConfig, Recipe};
use serde::Deserialize;

use crate::args::{Args, Technique};
use crate::data::Data;
use crate::error::DigitsError;
use crate::model::DigitNet;

/// Learning rate at the end of the warm-up.
const PEAK_RATE: f64 = 4e-3;

/// The recipe that the flags describe, over that of a file if one is given.
pub(crate) fn recipe(args: &Args, data: &Data) -> Result<Recipe, DigitsError> {
    if let Some(path) = &args.recipe {
        let mut recipe = from_file(path, data)?;
        overlay(&mut recipe, args);
        return Ok(recipe);
    }
    let channels = if args.smoke { [4, 4, 8] } else { [24, 32, 64] };
    let cosine = Spec::new("cosine")
        .with("start", PEAK_RATE)
        .with("length", 1.0)
        .with("unit", "fraction");
    let mut recipe = Recipe {
        epochs: if args.smoke { 4 } else { 40 },
        batch_size: if args.smoke { 16 } else { 32 },
        batches_per_epoch: args.smoke.then_some(1),
        model: Spec::new(DigitNet::FAMILY).with("channels", channels.to_vec()),
        data: data.spec.clone(),
        init: Spec::new("he_normal"),
        norm: Spec::new("batch_norm"),
        schedule: Spec::new("warmup")
            .with("length", 0.1)
            .with("unit", "fraction")
            .with("inner", cosine),
        augment: augmentation(&data.normalizer)?,
        optimizer: OptimizerConfig::AdamW(
            AdamW::torch()
                .with_weight_decay(0.02)
                .without_decay_of_vectors(),
        ),
        loss: CrossEntropy::new().with_label_smoothing(0.05).spec()?,
        ..Recipe::default()
    };
    overlay(&mut recipe, args);
    Ok(recipe)
}

/// Puts the flags that were given over a recipe.
pub(crate) fn overlay(recipe: &mut Recipe, args: &Args) {
    if let Some(seed) = args.seed {
        recipe.seed = seed;
    }
    if let Some(epochs) = args.epochs {
        recipe.epochs = epochs;
    }
    if let Some(batch_size) = args.batch_size {
        recipe.batch_size = batch_size;
    }
    for technique in &args.without {
        match technique {
            Technique::Norm => recipe.norm = Spec::new("none"),
            Technique::Init => {
                recipe.init = Spec::new("normal").with("mean", 0.0).with("std", 1.0);
            }
            Technique::Schedule => {
                recipe.schedule = Spec::new("constant").with("value", PEAK_RATE);
            }
            Technique::Augment => recipe.augment = Vec::new(),
        }
    }
}

/// Small changes that leave a digit what it is. Flips are left out on purpose:
/// a mirrored 2 or 5 is no digit, and a 6 upside down is a 9.
fn augmentation(normalizer: &Normalizer) -> Result<Vec<Spec>, DigitsError> {
    // What comes in from outside is background: black, in normalised values.
    let black = -normalizer.mean()[0] / normalizer.std()[0];
    let turns = |degrees: f64| degrees / 360.0;
    let constant = FillMode::Constant;
    let rotation = RandomRotationConfig::new(turns(12.0)).with_fill_mode(constant);
    let shift = RandomTranslationConfig::new(0.1, 0.1).with_fill_mode(constant);
    let zoom = RandomZoomConfig::new(0.12).with_fill_mode(constant);
    Ok(vec![
        rotation.with_fill_value(black).spec()?,
        shift.with_fill_value(black).spec()?,
        zoom.with_fill_value(black).spec()?,
    ])
}

/// Everything that a recipe describes, built.
pub(crate) struct Setup {
    pub(crate) model: DigitNet,
    pub(crate) augmentation: Option<Compose>,
    /// The augmentation again, if the loader has to do it.
    pub(crate) in_loader: Option<Compose>,
}

/// The types that this recipe may name: what is built in, and its plugins'.
pub(crate) fn registries(recipe: &Recipe) -> Result<Registries, DigitsError> {
    let mut registries = Registries::new();
    firecraft::augment::register(&mut registries)?;
    firecraft::schedule::register(&mut registries)?;
    firecraft::load_plugins(&recipe.plugins, &mut registries)?;
    Ok(registries)
}

/// The recipe of a file, for these data, with its plugins pinned. A file written
/// by hand may say `data = "digits"`; one of an earlier run names their hash.
fn from_file(path: &Path, data: &Data) -> Result<Recipe, DigitsError> {
    let mut recipe = Recipe::load(path)?;
    if recipe.data == Spec::new(&data.spec.type_name) {
        recipe.data = data.spec.clone();
    }
    let mut asked = recipe.clone();
    asked.data = data.spec.clone();
    recipe.expect(&asked)?;
    firecraft::pin_plugins(&mut recipe.plugins)?;
    Ok(recipe)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFields {
    channels: [usize; 3],
}

pub(crate) fn build(
    recipe: &Recipe,
    registries: &Registries,
    device: &Device,
) -> Result<Setup, DigitsError> {
    let ModelFields { channels } = recipe.model.parse()?;
    let augmentation = if recipe.augment.is_empty() {
        None
    } else {
        let transforms = registries.get::<Transforms>()?;
        Some(Compose::from_specs(&recipe.augment, transforms)?)
    };
    // On the device, as the model's first layer, if all of it can be one; in the
    // loader otherwise, on levels from 0 to 255.
    let is_layer = |compose: &Compose| compose.as_layer().is_some();
    let (layer, in_loader) = match &augmentation {
        Some(compose) if !is_layer(compose) => (None, Some(compose.clone())),
        other => (other.clone().map(|compose| compose.init(device)), None),
    };
    let norm = choose("norm", &recipe.norm, ["batch_norm", "none"])? == "batch_norm";
    let model = DigitNet::new(channels, norm, layer.transpose()?, device)?;
    let plan = match choose("init", &recipe.init, ["he_normal", "normal"])? {
        "he_normal" => InitPlan::for_activation(Activation::Relu)?,
        _ => InitPlan::new(Normal::new(0.0, 1.0)),
    };
    Ok(Setup {
        model: plan.apply(model, Key::from_seed(recipe.seed).named("init"))?,
        augmentation,
        in_loader,
    })
}

/// The type of a spec, if it is one of those that this program knows.
fn choose(field: &str, spec: &Spec, known: [&'static str; 2]) -> Result<&'static str, SpecError> {
    let found = known.into_iter().find(|name| *name == spec.type_name);
    found.ok_or_else(|| {
        let message = format!(
            "expected `{}` or `{}`, got `{}`",
            known[0], known[1], spec.type_name
        );
        SpecError::field(field, message)
    })
}
