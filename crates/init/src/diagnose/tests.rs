use super::*;
use crate::{Activation, InitPlan, Initializer, Lsuv, Normal, VarianceScaling};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{relu, tanh};
use burn::tensor::{Device, Tensor, TensorData};
use firecraft_key::Key;

const WIDTH: usize = 128;
const DEPTH: usize = 30;

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
    #[module(skip)]
    tanh: bool,
}

impl Probed<Tensor<2>> for Mlp {
    fn forward_probed(&self, mut x: Tensor<2>, probe: &mut Probe) {
        for (i, layer) in self.layers.iter().enumerate() {
            x = probe.see(&format!("layers.{i}"), layer.forward(x));
            x = if self.tanh { tanh(x) } else { relu(x) };
        }
    }
}

fn mlp(device: &Device, tanh: bool, weights: impl Initializer + 'static) -> Mlp {
    let layers = (0..DEPTH).map(|_| LinearConfig::new(WIDTH, WIDTH).init(device));
    let mlp = Mlp {
        layers: layers.collect(),
        tanh,
    };
    InitPlan::new(weights)
        .apply(mlp, Key::from_seed(1))
        .unwrap()
}

fn batch(device: &Device) -> Tensor<2> {
    let mut values = vec![0.0; 64 * WIDTH];
    crate::fill::normal(&mut values, 0.0, 1.0, Key::from_seed(2));
    Tensor::from_data(TensorData::new(values, [64, WIDTH]), device)
}

fn report(tanh: bool, weights: impl Initializer + 'static) -> SignalReport {
    let device = Device::flex().autodiff();
    diagnose(&mlp(&device, tanh, weights), batch(&device)).unwrap()
}

#[test]
fn a_head_of_one_value_is_no_reason_for_alarm() {
    let device = Device::flex().autodiff();
    let layer = |outputs| LinearConfig::new(8, outputs).init(&device);
    let (first, head): (Linear, Linear) = (layer(8), layer(1));
    let report = diagnose_with(|probe| {
        let x = probe.see("first", first.forward(Tensor::<2>::ones([1, 8], &device)));
        let _ = probe.see("head", head.forward(x));
    })
    .unwrap();
    assert_eq!(report.get("head").unwrap().gradient.unwrap().std, 0.0);
    assert_eq!(report.verdict, Verdict::Healthy, "{report}");
}

#[test]
fn the_signal_of_a_deep_relu_network_lives_only_with_the_right_gain() {
    let small = report(false, Normal::new(0.0, 0.01));
    assert_eq!(small.verdict, Verdict::Vanishing);
    // 0.01 · √128 · √½ per layer.
    assert!(
        (small.forward_factor.unwrap() - 0.08).abs() < 0.01,
        "{small}"
    );
    let large = report(false, Normal::new(0.0, 1.0));
    assert_eq!(large.verdict, Verdict::Exploding);
    let glorot = report(false, VarianceScaling::glorot_uniform());
    assert_eq!(glorot.verdict, Verdict::Vanishing);
    assert!(
        (glorot.forward_factor.unwrap() - 0.5_f64.sqrt()).abs() < 0.05,
        "{glorot}"
    );
    let he = report(
        false,
        VarianceScaling::for_activation(Activation::Relu).unwrap(),
    );
    assert_eq!(he.verdict, Verdict::Healthy, "{he}");
    assert!((he.forward_factor.unwrap() - 1.0).abs() < 0.05, "{he}");
    assert!((he.backward_factor.unwrap() - 1.0).abs() < 0.05, "{he}");
}

#[test]
fn gradients_are_those_of_the_pulled_back_cotangent() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::ones([500, 20], &device).require_grad();
    let report = diagnose_with(|probe| {
        let x = probe.see("first", x);
        let _ = probe.see("second", x * 3.0);
    })
    .unwrap();
    let gradient = |name: &str| report.get(name).unwrap().gradient.unwrap().std;
    assert!((gradient("second") - 1.0).abs() < 0.02);
    assert!((gradient("first") / gradient("second") - 3.0).abs() < 1e-5);
}

#[test]
fn dead_and_saturated_layers_are_recognised() {
    let device = Device::flex();
    let x = Tensor::<2>::from_floats([[-1.0, -2.0, 3.0], [-3.0, -1.0, 1.0]], &device);
    let report = diagnose_with(|probe| {
        let x = probe.see("relu", relu(x));
        let _ = probe.see("tanh", tanh(x * 100.0 + 50.0));
    })
    .unwrap();
    let relu = report.get("relu").unwrap();
    assert_eq!(relu.verdict, Verdict::Dead);
    assert!((relu.dead - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(report.get("tanh").unwrap().verdict, Verdict::Saturated);
    assert_eq!(report.verdict, Verdict::Dead);
    assert!(
        report.summary().contains("leaky activation"),
        "{}",
        report.summary()
    );
}

#[test]
fn values_that_are_not_finite_explode() {
    let x = Tensor::<1>::from_floats([f32::NAN, 1.0], &Device::flex());
    let report = diagnose_with(|probe| drop(probe.see("x", x))).unwrap();
    assert_eq!(report.verdict, Verdict::Exploding);
}

#[test]
fn a_pass_that_shows_nothing_is_an_error() {
    let error = diagnose_with(|_| {}).unwrap_err();
    assert!(error.to_string().contains("probe.see"), "{error}");
}

#[test]
fn reports_round_trip_through_json_with_verdict_and_remedy() {
    let fine = report(true, VarianceScaling::glorot_uniform());
    // Overflows to infinities and NaN, which JSON has no words for.
    let broken = report(false, Normal::new(0.0, 1e10));
    for report in [fine, broken] {
        let json = serde_json::to_string(&report).unwrap();
        let again: SignalReport = serde_json::from_str(&json).unwrap();
        assert_eq!(again.to_string(), report.to_string());
        assert_eq!(again.culprit, report.culprit);
        assert!(json.contains("\"gradient\":{\"mean\""), "{json}");
        assert!(json.contains(report.verdict.remedy()), "{json}");
    }
}

#[test]
fn other_thresholds_change_the_verdict_and_are_checked() {
    let report = report(true, VarianceScaling::glorot_uniform());
    assert_eq!(report.culprit, None);
    let strict = Thresholds {
        vanishing: 0.9,
        ..Thresholds::default()
    };
    let report = report.judged(&strict).unwrap();
    assert_eq!(report.verdict, Verdict::Vanishing);
    assert!(report.culprit.is_some());
    let wrong = Thresholds {
        dead: f64::NAN,
        ..Thresholds::default()
    };
    let error = report.judged(&wrong).unwrap_err();
    assert!(error.to_string().contains("`dead` is NaN"), "{error}");
}

#[test]
#[cfg(feature = "plot")]
fn charts_mark_the_layer_at_fault_and_name_the_remedy() {
    let sick = report(false, Normal::new(0.0, 0.01)).to_svg("Signal");
    assert!(sick.contains("Signal: vanishing") && sick.contains("raise the gain"));
    let well = report(true, VarianceScaling::glorot_uniform()).to_svg("Signal");
    assert!(well.contains("Signal: healthy") && !well.contains("remedy"));
}

#[test]
fn lsuv_gives_every_layer_unit_variance() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let model = mlp(&device, true, Normal::new(0.0, 1.0));
        let lsuv = Lsuv::default();
        let (model, report) = lsuv
            .apply(model, batch(&device), Key::from_seed(1))
            .unwrap();
        assert_eq!(report.len(), DEPTH);
        let report = diagnose(&model, batch(&device)).unwrap();
        for layer in &report.layers {
            assert!((layer.activation.std.powi(2) - 1.0).abs() < 0.1, "{report}");
        }
        assert_eq!(
            model.layers[3].weight.is_require_grad(),
            device.is_autodiff()
        );
    }
}

#[test]
fn lsuv_names_what_it_cannot_scale() {
    struct Wrong(Mlp);
    impl Probed<Tensor<2>> for Wrong {
        fn forward_probed(&self, x: Tensor<2>, probe: &mut Probe) {
            let _ = probe.see("nowhere", self.0.layers[0].forward(x));
        }
    }
    let device = Device::flex();
    let model = mlp(&device, true, Normal::new(0.0, 1.0));
    let error = Lsuv::default()
        .scale(model, batch(&device), |model, x, probe| {
            Wrong(model.clone()).forward_probed(x, probe);
        })
        .unwrap_err();
    assert!(error.to_string().contains("nowhere.weight"), "{error}");
    let zero = mlp(&device, false, crate::Constant::ZEROS);
    let error = Lsuv::default()
        .scale(zero, batch(&device), |model, x, probe| {
            model.forward_probed(x, probe)
        })
        .unwrap_err();
    assert!(error.to_string().contains("layers.0"), "{error}");
}

#[test]
fn a_layer_that_lsuv_meets_twice_must_have_unit_variance_both_times() {
    let device = Device::flex();
    let shared = || mlp(&device, true, crate::Orthogonal::default());
    let twice = |scale: f64| {
        Lsuv::default().scale(shared(), batch(&device), |model, x, probe| {
            let layer = &model.layers[0];
            let x = probe.see("layers.0", layer.forward(x));
            let _ = probe.see("layers.0", layer.forward(x * scale));
        })
    };
    // Orthogonal weights keep the variance.
    let (_, steps) = twice(1.0).unwrap();
    assert_eq!(steps.len(), 2);
    let error = twice(0.5).unwrap_err().to_string();
    assert!(
        error.contains("layers.0") && error.contains("seen twice"),
        "{error}"
    );
}
