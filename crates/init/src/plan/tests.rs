use super::*;
use crate::{Distribution, FanMode, Layout};
use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, Embedding, EmbeddingConfig, Linear, LinearConfig, LinearLayout,
    Lstm, LstmConfig, PRelu, PReluConfig,
};
use burn::tensor::{Device, Tensor};

#[derive(Module, Debug)]
struct Net {
    convs: Vec<Conv2d>,
    up: ConvTranspose2d,
    norm: BatchNorm,
    slope: PRelu,
    table: Embedding,
    lstm: Lstm,
    head: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        Self {
            convs: vec![
                Conv2dConfig::new([8, 12], [3, 3])
                    .with_groups(4)
                    .init(device),
                Conv2dConfig::new([12, 12], [3, 3])
                    .with_groups(12)
                    .init(device),
            ],
            up: ConvTranspose2dConfig::new([4, 7], [2, 2]).init(device),
            norm: BatchNormConfig::new(7).init(device),
            slope: PReluConfig::new().init(device),
            table: EmbeddingConfig::new(10, 6).init(device),
            lstm: LstmConfig::new(3, 5, true).init(device),
            head: LinearConfig::new(30, 20).init(device),
        }
    }
}

fn relu() -> InitPlan {
    InitPlan::for_activation(Activation::Relu).unwrap()
}

fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
    let values = tensor.into_data().try_to_vec::<f32>().unwrap();
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn parameters_get_what_their_role_asks_for() {
    let net = Net::new(&Device::flex());
    let table = relu().preview(&net).unwrap();
    for (path, role, initializer) in [
        ("convs.0.weight", Role::Weight, Some("he_normal")),
        ("convs.0.bias", Role::Bias, Some("constant")),
        ("up.weight", Role::Weight, Some("he_normal")),
        ("norm.gamma", Role::NormScale, Some("constant")),
        ("norm.running_mean", Role::Statistic, None),
        ("norm.running_var", Role::Statistic, None),
        ("slope.alpha", Role::LayerOwned, None),
        ("table.weight", Role::Embedding, Some("normal")),
        (
            "lstm.forget_gate.input_transform.bias",
            Role::ForgetBias,
            Some("constant"),
        ),
        (
            "lstm.forget_gate.hidden_transform.bias",
            Role::RecurrentBias,
            Some("constant"),
        ),
        ("head.weight", Role::Weight, Some("he_normal")),
    ] {
        let row = table.get(path).unwrap_or_else(|| panic!("{path}\n{table}"));
        assert_eq!(
            (row.role, row.initializer.as_deref()),
            (role, initializer),
            "{path}"
        );
    }
    assert_eq!(
        table
            .get("lstm.forget_gate.input_transform.bias")
            .unwrap()
            .mean,
        Some(1.0)
    );
}

#[test]
fn fans_know_groups_and_transposition() {
    let table = relu().preview(&Net::new(&Device::flex())).unwrap();
    let fans = |path: &str| {
        let fans = table.get(path).unwrap().fans.unwrap();
        (fans.fan_in, fans.fan_out)
    };
    assert_eq!(fans("convs.0.weight"), (18.0, 27.0));
    assert_eq!(fans("convs.1.weight"), (9.0, 9.0));
    assert_eq!(fans("up.weight"), (16.0, 28.0));
    assert_eq!(fans("head.weight"), (30.0, 20.0));
}

#[test]
fn values_depend_on_the_key_and_the_path_only() {
    #[derive(Module, Debug)]
    struct Other {
        head: Linear,
        extra: Linear,
    }
    let device = Device::flex();
    let key = Key::from_seed(5);
    let net = relu().apply(Net::new(&device), key).unwrap();
    let other = Other {
        extra: LinearConfig::new(2, 2).init(&device),
        head: LinearConfig::new(30, 20).init(&device),
    };
    let other = relu().apply(other, key).unwrap();
    assert_eq!(bits(net.head.weight.val()), bits(other.head.weight.val()));
    let expected = VarianceScaling::for_activation(Activation::Relu)
        .unwrap()
        .values(
            &Target::new(&[30, 20], Layout::LINEAR),
            key.named("head.weight"),
        )
        .unwrap();
    let expected: Vec<u32> = expected.iter().map(|v| v.to_bits()).collect();
    assert_eq!(bits(net.head.weight.val()), expected);
    let again = relu().apply(Net::new(&device), Key::from_seed(6)).unwrap();
    assert_ne!(bits(net.head.weight.val()), bits(again.head.weight.val()));
}

#[test]
fn every_number_of_threads_gives_the_model_the_same_bits() {
    #[derive(Module, Debug)]
    struct Wide {
        conv: Conv2d,
        head: Linear,
        table: Embedding,
    }
    // Large enough for fills and factors to be shared out.
    let run = |threads: usize| {
        let device = Device::flex();
        let wide = Wide {
            conv: Conv2dConfig::new([64, 128], [3, 3]).init(&device),
            head: LinearConfig::new(300, 260).init(&device),
            table: EmbeddingConfig::new(1000, 100).init(&device),
        };
        let plan = relu()
            .path("head.weight", Orthogonal::default())
            .path("table.weight", crate::TruncatedNormal::new(0.0, 0.02));
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let wide = pool.install(|| plan.apply(wide, Key::from_seed(5)).unwrap());
        (
            bits(wide.conv.weight.val()),
            bits(wide.head.weight.val()),
            bits(wide.table.weight.val()),
        )
    };
    let expected = run(1);
    assert!(run(2) == expected);
    assert!(run(8) == expected);
}

#[test]
fn materialised_lazy_and_column_major_layers_get_the_same_values() {
    let device = Device::flex();
    let key = Key::from_seed(5);
    let make = |layout: LinearLayout, touched: bool, device: &Device| {
        let linear = LinearConfig::new(6, 4).with_layout(layout).init(device);
        if touched {
            let _ = linear.weight.val();
        }
        relu().apply(linear, key).unwrap()
    };
    let expected = make(LinearLayout::Row, false, &device);
    for layout in [LinearLayout::Row, LinearLayout::Col] {
        for touched in [false, true] {
            for device in [device.clone(), device.clone().autodiff()] {
                let linear = make(layout, touched, &device);
                assert_eq!(linear.weight.val().dims(), [6, 4]);
                assert_eq!(bits(linear.weight.val()), bits(expected.weight.val()));
                assert_eq!(
                    linear.weight.val().device().is_autodiff(),
                    device.is_autodiff()
                );
                assert_eq!(linear.weight.is_require_grad(), device.is_autodiff());
            }
        }
    }
    // Records keep their own order: what is saved from one loads into the other.
    let column = make(LinearLayout::Col, true, &device);
    let record = column.into_record();
    let loaded = LinearConfig::new(6, 4)
        .with_layout(LinearLayout::Col)
        .init(&device)
        .load_record(record);
    assert_eq!(bits(loaded.weight.val()), bits(expected.weight.val()));
}

#[test]
fn running_statistics_are_never_written() {
    let device = Device::flex();
    let device = device.autodiff();
    let norm = BatchNormConfig::new(3).init(&device);
    let x = Tensor::<2>::from_floats([[5.0, 6.0, 7.0], [1.0, 2.0, 9.0]], &device);
    let _ = norm.forward(x);
    let before = bits(norm.running_mean.value_sync());
    let norm = InitPlan::empty()
        .path("**", Constant::new(7.0))
        .apply(norm, Key::from_seed(0))
        .unwrap();
    assert_eq!(bits(norm.running_mean.value_sync()), before);
    assert_eq!(
        norm.gamma.val().into_data().try_to_vec::<f32>().unwrap(),
        [7.0; 3]
    );
}

#[test]
fn frozen_parameters_are_initialised_and_stay_frozen() {
    let device = Device::flex();
    for device in [device.clone(), device.autodiff()] {
        let linear = LinearConfig::new(6, 4).init(&device).freeze();
        let linear = relu().apply(linear, Key::from_seed(5)).unwrap();
        assert!(!linear.weight.is_require_grad());
        assert_eq!(
            linear
                .bias
                .as_ref()
                .unwrap()
                .val()
                .abs()
                .max()
                .into_scalar::<f32>(),
            0.0
        );
        let trained = if device.is_autodiff() {
            linear
        } else {
            linear.train()
        };
        assert!(!trained.weight.is_require_grad());
    }
}

#[test]
fn the_clone_of_a_model_keeps_its_values() {
    let model = LinearConfig::new(6, 4).init(&Device::flex());
    let copy = model.clone();
    let before = bits(copy.weight.val());
    let _ = relu().apply(model, Key::from_seed(5)).unwrap();
    assert_eq!(bits(copy.weight.val()), before);
}

#[test]
fn tied_parameters_stay_tied() {
    #[derive(Module, Debug)]
    struct Tied {
        table: Embedding,
        head: Param<Tensor<2>>,
    }
    let table = EmbeddingConfig::new(10, 6).init(&Device::flex());
    let tied = Tied {
        head: table.weight.clone(),
        table,
    };
    let tied = relu().apply(tied, Key::from_seed(5)).unwrap();
    assert_eq!(bits(tied.table.weight.val()), bits(tied.head.val()));
}

#[test]
fn parameters_of_unknown_modules_need_a_rule() {
    #[derive(Module, Debug)]
    struct Vit {
        token: Param<Tensor<3>>,
        buffer: Param<Tensor<1>>,
        fc: Linear,
    }
    let device = Device::flex();
    let vit = Vit {
        token: Param::from_tensor(Tensor::zeros([1, 1, 8], &device)),
        buffer: Param::from_tensor(Tensor::ones([3], &device)).set_require_grad(false),
        fc: LinearConfig::new(8, 8).init(&device),
    };
    let error = relu().apply(vit.clone(), Key::from_seed(0)).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("parameter `token`: no rule matches this Vit"),
        "{error}"
    );
    let kept = relu()
        .keep_unmatched()
        .apply(vit.clone(), Key::from_seed(0))
        .unwrap();
    assert_eq!(kept.token.val().sum().into_scalar::<f32>(), 0.0);
    let plan = relu().path("token", Normal::new(0.0, 0.02));
    let vit = plan.apply(vit, Key::from_seed(0)).unwrap();
    assert_ne!(vit.token.val().sum().into_scalar::<f32>(), 0.0);
    assert_eq!(vit.buffer.val().sum().into_scalar::<f32>(), 3.0);
}

#[test]
fn the_last_matching_rule_wins() {
    let net = Net::new(&Device::flex());
    let fan_out = VarianceScaling::new(2.0, FanMode::Out, Distribution::Uniform);
    let plan = relu()
        .kind("Conv*", fan_out)
        .path("convs.1.*", Constant::new(0.5))
        .role(Role::Bias, Constant::new(0.1))
        .keep(Select::path("head.weight"));
    let table = plan.preview(&net).unwrap();
    let name = |path: &str| table.get(path).unwrap().initializer.clone();
    assert_eq!(name("convs.0.weight").as_deref(), Some("variance_scaling"));
    assert_eq!(name("convs.1.weight").as_deref(), Some("constant"));
    assert_eq!(table.get("convs.1.bias").unwrap().mean, Some(0.1));
    assert_eq!(name("head.weight"), None);
    assert!(table.to_string().contains("(kept)"));
}

#[test]
fn mistakes_in_plans_are_errors_that_name_the_place() {
    let net = Net::new(&Device::flex());
    let message = |plan: InitPlan| plan.preview(&net).unwrap_err().to_string();

    let unused = message(relu().path("haed.*", Constant::ZEROS));
    assert!(
        unused.starts_with("rule path haed.* matches no parameter"),
        "{unused}"
    );
    assert!(unused.contains("convs.0.weight"), "{unused}");

    // Rules of yours are counted, whatever presets add before or in between.
    let twice = relu()
        .path("head.*", Constant::ZEROS)
        .default_rule(Select::any(Role::Other), Constant::ZEROS)
        .path("head.*", Constant::ONES);
    let conflict = message(twice);
    assert!(
        conflict.starts_with("rules 0 and 1 both select path head.*"),
        "{conflict}"
    );

    let rank = message(relu().path("head.*", VarianceScaling::he_normal()));
    assert!(
        rank.starts_with("parameter `head.bias`: fans expects two axes"),
        "{rank}"
    );

    let gain = VarianceScaling::he_normal().with_gain(f64::NAN);
    let gain = message(relu().path("head.weight", gain));
    assert!(
        gain.starts_with("parameter `head.weight`: variance_scaling: `scale` is NaN"),
        "{gain}"
    );
    let error = relu()
        .preview(&LinearConfig::new(0, 4).init(&Device::flex()))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("parameter `weight`: fan_in of shape [0, 4] is 0"),
        "{error}"
    );

    let groups = message(
        relu()
            .groups("convs.0.weight", 5)
            .path("convs.0.weight", VarianceScaling::glorot_normal()),
    );
    assert!(groups.contains("divisible by 5 groups"), "{groups}");
}
