//! Whole runs of Keras' `fit`: history, final weights and the order of hooks.

mod call;

use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use firecraft::schedule::{
    BoxScheduler, ConstantConfig, EarlyStoppingConfig, Mode, Pure, ReduceOnPlateauConfig,
};
use firecraft::spec::Spec;
use firecraft::trainer::callbacks::{EarlyStopping, ReduceLrOnPlateau, TerminateOnNan};
use firecraft::trainer::{
    Adam, Arrays, Average, Callback, Classification, Clip, Context, Control, CrossEntropy, Event,
    Fitted, NonFinite, Optimizer, Phase, Reduction, Regression, RegressionLoss, Sgd, Supervised,
    Targets, Task, Trainer, TrainerError,
};

use self::call::Call;
use crate::compare::{Tolerance, close, close_f32, equal};
use crate::families::{Outcome, failed, schedules};
use crate::golden::{Case, Field};

/// Keras' `Dense` layer without activation.
#[derive(Module, Debug)]
struct Dense {
    kernel: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Supervised for Dense {
    type Input = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.kernel.val()) + self.bias.val().unsqueeze()
    }
}

pub(super) fn fit(case: &Case) -> Result<(), Outcome> {
    let settings = Settings::of(case)?;
    match case.get("task").str()? {
        "reg" => {
            let rule = match case.get("loss").str()? {
                "mse" | "mean_squared_error" => RegressionLoss::squared(),
                "mae" | "mean_absolute_error" => RegressionLoss::absolute(),
                "huber" => RegressionLoss::huber(1.0),
                _ => return Err(Outcome::Unsupported),
            };
            let loss = rule.with_reduction(Reduction::MeanOverCount);
            run(case, settings, Regression { loss })
        }
        "cls" => {
            let loss = CrossEntropy::new().with_reduction(Reduction::MeanOverCount);
            run(case, settings, Classification { loss })
        }
        _ => Err(Outcome::Unsupported),
    }
}

fn run<T: Task<Dense, Batch = firecraft::trainer::Labelled<Tensor<2>>>>(
    case: &Case,
    settings: Settings,
    task: T,
) -> Result<(), Outcome> {
    let fit = case.get("fit");
    let device = Device::flex().autodiff();
    let model = Dense {
        kernel: Param::from_data(data(&case.get("kernel0"))?, &device),
        bias: Param::from_data(data(&case.get("bias0"))?, &device),
    };
    let batch_size = fit.get("batch_size").or(32, Field::usize)?;
    let mut train = arrays(case, "x", "y", batch_size)?;
    if let Some(weights) = fit.get("sample_weight").optional(Field::tensor)? {
        train = train.weights(weights.f32s()).map_err(failed)?;
    }
    if let Some(weights) = class_weights(&fit)? {
        train = train.class_weights(&weights).map_err(failed)?;
    }
    let mut valid = None;
    if case.has("val_x") {
        let size = fit
            .get("validation_batch_size")
            .or(batch_size, Field::usize)?;
        valid = Some(arrays(case, "val_x", "val_y", size)?);
    } else if let Some(fraction) = fit.get("validation_split").optional(Field::f64)?
        && fraction > 0.0
    {
        let (first, last) = train.split(fraction).map_err(failed)?;
        train = first;
        valid = Some(last);
    }
    if fit.get("steps_per_epoch").optional(Field::u64)?.is_some() {
        train = train.carry_on();
    }

    let log = Log::default();
    let averaged = settings.average.is_some();
    let mut trainer = Trainer::new(model, settings.optimizer)
        .task(task)
        .schedule(settings.schedule)
        .epochs(fit.get("epochs").or(1, Field::u64)?)
        .initial_epoch(fit.get("initial_epoch").or(0, Field::u64)?)
        .validate_every(fit.get("validation_freq").or(1, Field::u64)?)
        .clip(settings.clip)
        .on_non_finite(NonFinite::Allow)
        .callback(log.clone())
        .callbacks(settings.callbacks);
    if let Some(average) = settings.average {
        trainer = trainer.average(average);
    }
    if let Some(steps) = fit.get("steps_per_epoch").optional(Field::u64)? {
        trainer = trainer.limit_batches(steps);
    }
    if let Some(steps) = fit.get("validation_steps").optional(Field::u64)? {
        trainer = trainer.limit_validation(steps);
    }
    let fitted = match valid {
        Some(valid) => trainer.fit(train, valid),
        None => trainer.fit_unvalidated(train),
    }
    .map_err(failed)?;
    check(case, &fitted, averaged, &log)
}

fn check(case: &Case, fitted: &Fitted<Dense>, averaged: bool, log: &Log) -> Result<(), Outcome> {
    let rows = fitted.history.rows();
    let epochs: Vec<u64> = rows.iter().map(|row| row.epoch).collect();
    equal("epoch", epochs, case.get("epoch").u64s()?)?;
    let history = case.get("history");
    for name in history.keys() {
        // Epochs without evaluation have no entry.
        let got: Vec<f64> = rows
            .iter()
            .filter_map(|row| match name {
                "learning_rate" => Some(row.learning_rate),
                name => row.metrics.get(name),
            })
            .collect();
        close(name, &got, &history.get(name).f64s()?, Tolerance::TENSOR)?;
    }
    let model = match &fitted.averaged {
        Some(model) if averaged => model,
        _ => &fitted.model,
    };
    let kernel: Vec<f32> = model.kernel.val().try_into_vec_as().map_err(failed)?;
    let bias: Vec<f32> = model.bias.val().try_into_vec_as().map_err(failed)?;
    for (name, got) in [("kernel", kernel), ("bias", bias)] {
        close_f32(
            name,
            &got,
            &case.get(name).tensor()?.data,
            Tolerance::TENSOR,
        )?;
    }
    if let Some(iterations) = case.get("iterations").optional(Field::u64)? {
        equal("iterations", fitted.progress.update, iterations)?;
    }
    let got = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (at, want) in case.get("events").items()?.iter().enumerate() {
        let want = hook(want)?;
        let Some(got) = got.get(at) else {
            return Err(failed(format!("event {at}: expected {want:?}, got none")));
        };
        equal(&format!("event {at}"), got, &want)?;
    }
    equal("events", got.len(), case.get("events").items()?.len())
}

/// `[hook, index, sorted log keys]`.
type Hook = (String, Option<u64>, Vec<String>);

fn hook(field: &Field<'_>) -> Result<Hook, Outcome> {
    let items = field.items()?;
    let [name, index, keys] = items.as_slice() else {
        return Err(failed("an event is no triple"));
    };
    let keys = keys.items()?;
    let keys: Result<Vec<String>, _> = keys.iter().map(|k| k.str().map(str::to_owned)).collect();
    Ok((name.str()?.to_owned(), index.optional(Field::u64)?, keys?))
}

/// The hooks that Keras calls, from our events.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Hook>>>);

impl Callback for Log {
    fn key(&self) -> String {
        "keras".to_owned()
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        let sorted = |metrics: &firecraft::trainer::Metrics| {
            let mut keys: Vec<String> = metrics.iter().map(|(name, _)| name.to_owned()).collect();
            keys.sort();
            keys
        };
        let split = |phase: &Phase| match phase {
            Phase::Train => "train",
            Phase::Evaluation => "test",
        };
        let (name, index, keys) = match event {
            Event::FitStart { .. } => ("on_train_begin".to_owned(), None, vec![]),
            Event::EpochStart => {
                let name = "on_epoch_begin".to_owned();
                (name, Some(context.progress.epoch), vec![])
            }
            Event::BatchStart { phase, batch } => {
                let name = format!("on_{}_batch_begin", split(phase));
                (name, Some(*batch), vec![])
            }
            Event::BatchEnd {
                phase,
                batch,
                metrics,
            } => {
                let name = format!("on_{}_batch_end", split(phase));
                (name, Some(*batch), sorted(metrics))
            }
            Event::EvaluationStart => ("on_test_begin".to_owned(), None, vec![]),
            Event::EvaluationEnd { metrics, .. } => {
                let keys = sorted(metrics);
                let plain = |key: &String| key.trim_start_matches("val_").to_owned();
                let keys = keys.iter().map(plain).collect();
                ("on_test_end".to_owned(), None, keys)
            }
            Event::EpochEnd { row } => {
                let keys = sorted(&row.metrics);
                ("on_epoch_end".to_owned(), Some(row.epoch), keys)
            }
            Event::FitEnd { .. } => {
                let last = context.history.last();
                let keys = last.map_or_else(Vec::new, |row| sorted(&row.metrics));
                ("on_train_end".to_owned(), None, keys)
            }
            _ => return Ok(Control::Continue),
        };
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.push((name, index, keys));
        Ok(Control::Continue)
    }
}

/// What the strings of a case mean.
struct Settings {
    optimizer: Optimizer,
    schedule: BoxScheduler,
    clip: Clip,
    average: Option<Average>,
    callbacks: Vec<Box<dyn Callback>>,
}

impl Settings {
    fn of(case: &Case) -> Result<Self, Outcome> {
        let fit = case.get("fit");
        let known = [
            "epochs",
            "batch_size",
            "shuffle",
            "validation_split",
            "validation_freq",
            "validation_steps",
            "validation_batch_size",
            "sample_weight",
            "class_weight",
            "initial_epoch",
            "steps_per_epoch",
            "verbose",
        ];
        let harmless = ["jit_compile", "run_eagerly", "auto_scale_loss"];
        if fit.keys().iter().any(|key| !known.contains(key))
            || case
                .get("compile")
                .keys()
                .iter()
                .any(|key| !harmless.contains(key))
            || fit.get("shuffle").or(true, Field::bool)?
        {
            return Err(Outcome::Unsupported);
        }
        let mut settings = optimizer(&Call::parse(case.get("optimizer").str()?)?)?;
        for text in case.get("callbacks").items()? {
            let call = Call::parse(text.str()?)?;
            match call.name {
                "SwapEMAWeights" if settings.average.is_some() => {
                    call.known(&["swap_on_epoch"])?;
                }
                _ => settings.callbacks.push(callback(&call)?),
            }
        }
        Ok(settings)
    }
}

fn optimizer(call: &Call<'_>) -> Result<Settings, Outcome> {
    call.known(&[
        "learning_rate",
        "momentum",
        "nesterov",
        "beta_1",
        "beta_2",
        "epsilon",
        "amsgrad",
        "clipnorm",
        "clipvalue",
        "global_clipnorm",
        "use_ema",
        "ema_momentum",
        "ema_overwrite_frequency",
    ])?;
    let optimizer = match call.name {
        "SGD" => Sgd::keras()
            .with_momentum(call.number("momentum")?.unwrap_or(0.0))
            .with_nesterov(call.flag("nesterov"))
            .into(),
        "Adam" => {
            let default = Adam::keras();
            Adam {
                beta1: call.number("beta_1")?.unwrap_or(default.beta1),
                beta2: call.number("beta_2")?.unwrap_or(default.beta2),
                epsilon: call.number("epsilon")?.unwrap_or(default.epsilon),
                amsgrad: call.flag("amsgrad"),
                ..default
            }
            .into()
        }
        _ => return Err(Outcome::Unsupported),
    };
    let rate = call
        .first()
        .or_else(|| call.get("learning_rate"))
        .ok_or(Outcome::Unsupported)?;
    let schedule: BoxScheduler = match rate.parse::<f64>() {
        Ok(rate) => Box::new(Pure::updates(
            ConstantConfig::new(rate).init().map_err(failed)?,
        )),
        Err(_) => schedule(&Call::parse(rate)?)?,
    };
    let clip = match (
        call.number("clipnorm")?,
        call.number("clipvalue")?,
        call.number("global_clipnorm")?,
    ) {
        (None, None, None) => Clip::None,
        (Some(max), None, None) => Clip::EachNorm { max },
        (None, Some(max), None) => Clip::Value { max },
        (None, None, Some(max)) => Clip::GlobalNorm { max },
        _ => return Err(Outcome::Unsupported),
    };
    let average = if call.flag("use_ema") {
        let decay = call.number("ema_momentum")?.unwrap_or(0.99);
        let mut average = Average::ema(decay);
        if let Some(every) = call.number("ema_overwrite_frequency")? {
            average = average.overwrite_every(every as u64);
        }
        Some(average)
    } else {
        None
    };
    Ok(Settings {
        optimizer,
        schedule,
        clip,
        average,
        callbacks: Vec::new(),
    })
}

/// Keras' schedules by position or name, through the registry.
fn schedule(call: &Call<'_>) -> Result<BoxScheduler, Outcome> {
    let names: &[&str] = match call.name {
        "ExponentialDecay" | "InverseTimeDecay" => &[
            "initial_learning_rate",
            "decay_steps",
            "decay_rate",
            "staircase",
        ],
        "CosineDecay" => &["initial_learning_rate", "decay_steps", "alpha"],
        "PolynomialDecay" => &[
            "initial_learning_rate",
            "decay_steps",
            "end_learning_rate",
            "power",
        ],
        _ => return Err(Outcome::Unsupported),
    };
    let mut spec = Spec::new(format!("keras.{}", call.name));
    for (name, value) in call.bind(names)? {
        match value {
            "True" | "true" => spec.params.insert(name, true),
            "False" | "false" => spec.params.insert(name, false),
            number => {
                let number: f64 = number.parse().map_err(|_| Outcome::Unsupported)?;
                if name == "decay_steps" {
                    spec.params.insert(name, number as i64)
                } else {
                    spec.params.insert(name, number)
                }
            }
        };
    }
    schedules::build(&spec)
}

fn callback(call: &Call<'_>) -> Result<Box<dyn Callback>, Outcome> {
    let monitor = call
        .first()
        .or_else(|| call.get("monitor"))
        .unwrap_or("val_loss")
        .trim_matches(['"', '\''])
        .to_owned();
    let mode = match call.get("mode").map(|m| m.trim_matches(['"', '\''])) {
        None | Some("auto") => Mode::of_metric(&monitor),
        Some("min") => Mode::Min,
        Some("max") => Mode::Max,
        _ => return Err(Outcome::Unsupported),
    };
    let count = |name: &str| -> Result<Option<u64>, Outcome> {
        Ok(call.number(name)?.map(|number| number as u64))
    };
    match call.name {
        "ReduceLROnPlateau" => {
            call.known(&[
                "monitor",
                "factor",
                "patience",
                "mode",
                "min_delta",
                "cooldown",
                "min_lr",
                "verbose",
            ])?;
            let mut config = ReduceOnPlateauConfig::keras(1.0).with_mode(mode);
            if let Some(factor) = call.number("factor")? {
                config = config.with_factor(factor);
            }
            if let Some(patience) = count("patience")? {
                config = config.with_patience(patience);
            }
            if let Some(delta) = call.number("min_delta")? {
                config = config.with_min_delta(delta);
            }
            if let Some(cooldown) = count("cooldown")? {
                config = config.with_cooldown(cooldown);
            }
            let min = call.number("min_lr")?.unwrap_or(0.0);
            let plateau = ReduceLrOnPlateau::new(monitor)
                .config(config)
                .min_learning_rate(min);
            Ok(Box::new(plateau.build().map_err(failed)?))
        }
        "EarlyStopping" => {
            call.known(&[
                "monitor",
                "min_delta",
                "patience",
                "mode",
                "baseline",
                "restore_best_weights",
                "start_from_epoch",
                "verbose",
            ])?;
            let config = EarlyStoppingConfig::new(count("patience")?.unwrap_or(0))
                .with_mode(mode)
                .with_min_delta(call.number("min_delta")?.unwrap_or(0.0).abs())
                .with_baseline(call.number("baseline")?)
                .with_start_from(count("start_from_epoch")?.unwrap_or(0));
            let early = EarlyStopping::with_config(monitor, &config).map_err(failed)?;
            Ok(Box::new(if call.flag("restore_best_weights") {
                early.restore_best()
            } else {
                early
            }))
        }
        "TerminateOnNaN" => {
            call.known(&[])?;
            Ok(Box::new(TerminateOnNan::new()))
        }
        _ => Err(Outcome::Unsupported),
    }
}

fn class_weights(fit: &Field<'_>) -> Result<Option<Vec<f64>>, Outcome> {
    let field = fit.get("class_weight");
    if field.is_null() {
        return Ok(None);
    }
    let mut weights = Vec::new();
    for key in field.keys() {
        let class: usize = key.parse().map_err(|_| Outcome::Unsupported)?;
        if class >= weights.len() {
            weights.resize(class + 1, 1.0);
        }
        weights[class] = field.get(key).f64()?;
    }
    Ok(Some(weights))
}

fn arrays(case: &Case, x: &str, y: &str, batch_size: usize) -> Result<Arrays<2>, Outcome> {
    let device = Device::flex();
    let inputs = Tensor::<2>::from_data(data(&case.get(x))?, &device);
    let targets = case.get(y).tensor()?;
    let targets = match targets.shape.len() {
        1 => {
            let labels = targets.i64s();
            Targets::Classes(Tensor::<1, Int>::from_data(labels.as_slice(), &device))
        }
        _ => Targets::Values(Tensor::from_data(data(&case.get(y))?, &device)),
    };
    Arrays::new(inputs, targets, batch_size).map_err(failed)
}

fn data(field: &Field<'_>) -> Result<TensorData, Outcome> {
    let tensor = field.tensor()?;
    Ok(TensorData::new(tensor.f32s(), tensor.shape))
}
