//! What has to hold for every transform of the registry, with any parameters.
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]

use firecraft_augment::{
    Boxes, Image, Interpolation, Plan, Points, Sample, Size, Step, Transforms, register,
};
use firecraft_key::Key;
use firecraft_spec::{Registries, Spec, Value};
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use std::collections::BTreeSet;

fn registries() -> Registries {
    let mut registries = Registries::new();
    register(&mut registries).unwrap();
    registries
}

/// Numbers that are often, but not always, valid.
fn number(low: f64, high: f64) -> BoxedStrategy<Value> {
    let width = high - low;
    // Three digits: JSON readers may round the seventeenth.
    let short = |v: f64| Value::from((v * 1000.0).round() / 1000.0);
    prop_oneof![
        12 => (low..=high).prop_map(short),
        1 => (low - width..=high + width).prop_map(short),
        1 => prop_oneof![Just(0.0), Just(-1.0), Just(1e30), Just(f64::NAN), Just(f64::INFINITY)]
            .prop_map(Value::from),
    ]
    .boxed()
}

/// A colour: any value is allowed, but JSON has no word for NaN.
fn finite() -> BoxedStrategy<Value> {
    (0..=8)
        .prop_map(|v| Value::from(f64::from(v) / 8.0))
        .boxed()
}

fn whole(low: i64, high: i64) -> BoxedStrategy<Value> {
    prop_oneof![
        12 => (low..=high).prop_map(Value::from),
        1 => prop_oneof![Just(-1_i64), Just(0), Just(i64::MAX), Just(1 << 20)].prop_map(Value::from),
    ]
    .boxed()
}

fn pair(low: f64, high: f64) -> BoxedStrategy<Value> {
    (number(low, high), number(low, high), 0..6)
        .prop_map(|(a, b, swap)| {
            let as_number = |v: &Value| v.to_string().parse().unwrap_or(f64::NAN);
            let in_order = as_number(&a) <= as_number(&b) || swap == 0;
            Value::from(if in_order { vec![a, b] } else { vec![b, a] })
        })
        .boxed()
}

fn whole_pair(low: i64, high: i64) -> BoxedStrategy<Value> {
    (low..=high, low..=high)
        .prop_map(|(a, b)| Value::from(vec![a.min(b), a.max(b)]))
        .boxed()
}

fn list(of: fn() -> BoxedStrategy<Value>, from: usize, to: usize) -> BoxedStrategy<Value> {
    proptest::collection::vec(of(), from..=to)
        .prop_map(Value::from)
        .boxed()
}

fn one_of(words: &'static [&'static str]) -> BoxedStrategy<Value> {
    proptest::sample::select(words)
        .prop_map(Value::from)
        .boxed()
}

fn flag() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn table(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let values: Vec<_> = fields.into_iter().map(|(_, strategy)| strategy).collect();
    values
        .prop_map(move |values| {
            let mut spec = Spec::new("table");
            for (name, value) in names.iter().zip(values) {
                spec = spec.with(*name, value);
            }
            Value::Table(spec.params)
        })
        .boxed()
}

fn size() -> BoxedStrategy<Value> {
    table(vec![("height", whole(1, 12)), ("width", whole(1, 12))])
}

fn border() -> BoxedStrategy<Value> {
    let constant = |name: &'static str| {
        list(finite, 0, 1)
            .prop_map(move |values| Value::Table(Spec::new("border").with(name, values).params))
    };
    prop_oneof![
        constant("constant"),
        constant("constant_twice"),
        constant("constant_hard"),
        one_of(&["replicate", "symmetric", "reflect", "wrap"]),
    ]
    .boxed()
}

fn interpolation() -> BoxedStrategy<Value> {
    one_of(&["nearest", "bilinear", "bicubic", "catmull_rom"])
}

fn filter() -> BoxedStrategy<Value> {
    one_of(&[
        "nearest",
        "nearest_exact",
        "area",
        "coverage",
        "bilinear",
        "bicubic",
        "lanczos3",
        "lanczos4",
        "lanczos5",
    ])
}

fn fill_mode() -> BoxedStrategy<Value> {
    one_of(&["constant", "nearest", "reflect", "wrap"])
}

fn region() -> BoxedStrategy<Value> {
    table(vec![
        ("top", whole(0, 6)),
        ("left", whole(0, 6)),
        ("size", size()),
    ])
}

fn point() -> BoxedStrategy<Value> {
    list(|| number(-3.0, 12.0), 2, 2)
}

/// Parameters of every type name. A new transform is added here, too.
fn parameters(name: &str) -> Vec<(&'static str, BoxedStrategy<Value>)> {
    let p = || number(0.0, 1.0);
    let keras_style = || {
        vec![
            ("fill_mode", fill_mode()),
            ("interpolation", interpolation()),
            ("fill_value", finite()),
        ]
    };
    let warp_style = || vec![("interpolation", interpolation()), ("border", border())];
    let resize_style = || vec![("filter", filter()), ("antialias", flag())];
    let with = |mut a: Vec<(&'static str, BoxedStrategy<Value>)>, b| {
        a.extend(b);
        a
    };
    match name {
        "compose" | "one_of" | "random_order" => {
            vec![("transforms", list(small_spec, 0, 3))]
        }
        "some_of" => vec![
            ("transforms", list(small_spec, 2, 3)),
            ("low", whole(0, 1)),
            ("high", whole(1, 2)),
        ],
        "random_apply" => vec![("p", p()), ("transform", small_spec())],
        "affine" => with(
            warp_style(),
            vec![
                ("angle", number(-360.0, 360.0)),
                ("translate", pair(-5.0, 5.0)),
                ("scale", number(0.3, 3.0)),
                ("shear", pair(-40.0, 40.0)),
            ],
        ),
        "aug_mix" => vec![
            ("severity", whole(1, 10)),
            ("mixture_width", whole(1, 3)),
            ("chain_depth", whole(0, 3)),
            ("alpha", number(0.1, 2.0)),
            ("all_ops", flag()),
        ],
        "auto_augment" => vec![("policy", one_of(&["imagenet", "cifar10", "svhn"]))],
        "auto_contrast" => vec![
            ("method", one_of(&["linear", "linear_rounded", "rank"])),
            ("cutoff", number(0.0, 20.0)),
        ],
        "box_blur" => vec![("radius", number(0.0, 4.0)), ("passes", whole(0, 3))],
        "brightness" => vec![("factor", number(0.0, 3.0))],
        "center_crop" => vec![("size", size()), ("odd_rest", one_of(&["down", "even"]))],
        "clahe" => vec![
            ("clip_limit", number(0.0, 10.0)),
            ("grid", whole_pair(1, 5)),
            ("method", one_of(&["open_cv", "kornia", "keras"])),
        ],
        "color_jitter" => vec![
            ("brightness", pair(0.0, 2.0)),
            ("contrast", pair(0.0, 2.0)),
            ("saturation", pair(0.0, 2.0)),
            ("hue", pair(-0.5, 0.5)),
        ],
        "color_matrix" => vec![("rows", list(|| list(|| number(-1.0, 1.0), 4, 4), 3, 3))],
        "contrast" => vec![
            ("factor", number(0.0, 3.0)),
            ("mean", one_of(&["exact", "rounded", "per_channel"])),
        ],
        "crop" => vec![
            ("top", whole(-4, 8)),
            ("left", whole(-4, 8)),
            ("size", size()),
            ("border", border()),
        ],
        "denormalize" | "normalize" => vec![
            ("mean", list(|| number(0.0, 1.0), 1, 3)),
            ("std", list(|| number(0.1, 1.0), 1, 3)),
        ],
        "elastic" => with(
            warp_style(),
            vec![("alpha", number(0.0, 30.0)), ("sigma", number(0.5, 6.0))],
        ),
        "equalize" => vec![("method", one_of(&["pillow", "open_cv"]))],
        "erase" => vec![("region", region()), ("value", list(finite, 1, 3))],
        "gamma" => vec![("gamma", number(0.0, 3.0)), ("gain", number(0.0, 2.0))],
        "gaussian_blur" => vec![
            ("kernel_size", whole_pair(1, 9)),
            ("sigma", pair(0.1, 4.0)),
            ("border", border()),
        ],
        "gaussian_noise" => vec![
            ("mean", number(-0.5, 0.5)),
            ("sigma", number(0.0, 1.0)),
            ("clip", flag()),
        ],
        "grayscale" => vec![
            ("single_channel", flag()),
            (
                "method",
                one_of(&["luma", "weighted", "lab", "desaturation", "average", "max"]),
            ),
        ],
        "horizontal_flip"
        | "vertical_flip"
        | "transpose"
        | "random_grayscale"
        | "random_invert"
        | "random_equalize"
        | "random_auto_contrast"
        | "random_channel_permutation" => vec![("p", p())],
        "hsv_shift" => vec![
            ("hue", number(-180.0, 180.0)),
            ("saturation", number(-100.0, 100.0)),
            ("value", number(-100.0, 100.0)),
        ],
        "hue" => vec![("shift", number(-1.0, 1.0))],
        "identity" | "invert" | "to_f32" | "to_u8" | "to_rgb" => vec![],
        "jpeg" => vec![("quality", whole_pair(1, 100))],
        "keras_aug_mix" => vec![
            ("num_chains", whole(1, 3)),
            ("chain_depth", whole(0, 3)),
            ("factor", pair(0.0, 1.0)),
            ("alpha", number(0.1, 2.0)),
            ("all_ops", flag()),
            ("interpolation", interpolation()),
        ],
        "keras_rand_augment" => vec![
            ("num_ops", whole(0, 3)),
            ("factor", pair(0.0, 1.0)),
            ("interpolation", interpolation()),
        ],
        "linear" => vec![
            ("scale", list(|| number(-2.0, 2.0), 1, 3)),
            ("shift", list(|| number(-1.0, 1.0), 1, 3)),
        ],
        "linear_transformation" => vec![
            ("matrix", list(|| number(-1.0, 1.0), 1, 9)),
            ("mean", list(|| number(-1.0, 1.0), 1, 3)),
        ],
        "mean_blur" => vec![("size", whole(1, 7)), ("border", border())],
        "median_blur" => vec![("size", whole(1, 7))],
        "pad" => vec![
            ("left", whole(0, 5)),
            ("top", whole(0, 5)),
            ("right", whole(0, 5)),
            ("bottom", whole(0, 5)),
            ("border", border()),
        ],
        "pad_if_needed" => vec![
            ("min_size", size()),
            ("divisor", whole(1, 8)),
            ("place", one_of(&["center", "top_left", "random"])),
            ("border", border()),
        ],
        "permute_channels" => vec![(
            "order",
            proptest::sample::select(vec![vec![0_i64], vec![2, 0, 1], vec![1, 0], vec![0, 0, 1]])
                .prop_map(Value::from)
                .boxed(),
        )],
        "perspective" => with(
            warp_style(),
            vec![("start", list(point, 4, 4)), ("end", list(point, 4, 4))],
        ),
        "posterize" => vec![
            ("bits", whole(0, 8)),
            ("numbers", one_of(&["levels", "via_bytes"])),
        ],
        "rand_augment" => vec![
            ("num_ops", whole(0, 4)),
            ("magnitude", whole(0, 30)),
            ("num_magnitude_bins", whole(31, 40)),
        ],
        "random_adjust_sharpness" => vec![("factor", number(0.0, 3.0)), ("p", p())],
        "random_affine" => with(
            warp_style(),
            vec![
                ("degrees", pair(-180.0, 180.0)),
                ("translate", pair(0.0, 0.5)),
                ("scale", pair(0.3, 2.0)),
                ("shear_x", pair(-30.0, 30.0)),
                ("shear_y", pair(-30.0, 30.0)),
            ],
        ),
        "random_brightness" | "random_contrast" => vec![("factor", pair(-0.8, 0.8))],
        "random_color_degeneration" | "random_hue" | "random_saturation" | "random_sharpness" => {
            vec![("factor", pair(0.0, 1.0))]
        }
        "random_crop" => vec![
            ("size", size()),
            ("padding", whole(0, 4)),
            ("pad_if_needed", flag()),
            ("border", border()),
        ],
        "random_erasing" => vec![
            ("p", p()),
            ("scale", pair(0.0, 0.5)),
            ("ratio", pair(0.3, 3.0)),
            ("value", list(finite, 1, 3)),
            ("mode", one_of(&["constant", "colour", "pixel"])),
            ("count", whole_pair(1, 4)),
        ],
        "random_flip" => vec![(
            "mode",
            one_of(&["horizontal", "vertical", "horizontal_and_vertical"]),
        )],
        "random_gamma" => vec![("factor", pair(0.3, 2.0))],
        "random_gaussian_blur" => vec![
            ("kernel_size", whole_pair(1, 9)),
            ("sigma", pair(0.1, 3.0)),
            ("shared", flag()),
            ("p", p()),
            ("border", border()),
        ],
        "random_iou_crop" => vec![
            ("scale", pair(0.2, 1.0)),
            ("aspect_ratio", pair(0.3, 3.0)),
            ("options", list(|| number(0.0, 1.0), 1, 3)),
            ("trials", whole(1, 10)),
        ],
        "random_perspective" => with(
            warp_style(),
            vec![("distortion_scale", number(0.0, 1.0)), ("p", p())],
        ),
        "random_photometric_distort" => vec![
            ("brightness", pair(0.5, 1.5)),
            ("contrast", pair(0.5, 1.5)),
            ("saturation", pair(0.5, 1.5)),
            ("hue", pair(-0.5, 0.5)),
            ("p", p()),
        ],
        "random_posterization" => vec![("factor", pair(1.0, 8.0))],
        "random_posterize" => vec![("bits", whole(0, 8)), ("p", p())],
        "random_resize" => vec![("min_size", whole(1, 8)), ("max_size", whole(8, 16))],
        "random_resized_crop" => with(
            resize_style(),
            vec![
                ("size", size()),
                ("scale", pair(0.1, 1.0)),
                ("ratio", pair(0.5, 2.0)),
            ],
        ),
        "random_rotation" => with(keras_style(), vec![("factor", pair(-1.0, 1.0))]),
        "random_shear" => with(
            keras_style(),
            vec![("x_factor", pair(-0.9, 0.9)), ("y_factor", pair(-0.9, 0.9))],
        ),
        "random_shortest_size" => vec![
            ("min_size", list(|| whole(1, 12), 1, 3)),
            ("max_size", whole(1, 20)),
        ],
        "random_solarization" => vec![
            ("addition_factor", pair(0.0, 1.0)),
            ("threshold_factor", pair(0.0, 1.0)),
        ],
        "random_solarize" => vec![("threshold", number(0.0, 256.0)), ("p", p())],
        "random_translation" => with(
            keras_style(),
            vec![
                ("height_factor", pair(-0.8, 0.8)),
                ("width_factor", pair(-0.8, 0.8)),
            ],
        ),
        "random_zoom" => with(keras_style(), vec![("height_factor", pair(-0.5, 1.0))]),
        "random_zoom_out" => vec![
            ("side_range", pair(1.0, 3.0)),
            ("p", p()),
            ("border", border()),
        ],
        "replay" => vec![],
        "rescale" => vec![("scale", number(-2.0, 2.0)), ("offset", number(-1.0, 1.0))],
        "resize" => with(
            resize_style(),
            vec![(
                "to",
                (size(), 0..5_usize, whole(1, 12))
                    .prop_map(|(size, kind, n)| {
                        let spec = Spec::new("to");
                        Value::Table(match kind {
                            0 => spec.with("exactly", size).params,
                            1 => spec.with("shorter", n).params,
                            2 => spec.with("within", size).params,
                            3 => {
                                let of = Spec::new("of").with("patch", size).with("max", n);
                                spec.with("sequence", of.params).params
                            }
                            _ => spec.with("covering", size).params,
                        })
                    })
                    .boxed(),
            )],
        ),
        "resized_crop" => with(resize_style(), vec![("region", region()), ("size", size())]),
        "resizing" => vec![
            ("size", size()),
            ("aspect_ratio", one_of(&["stretch", "crop", "pad"])),
            ("filter", filter()),
            ("border", border()),
        ],
        "rotate" => with(
            warp_style(),
            vec![("angle", number(-360.0, 360.0)), ("expand", flag())],
        ),
        "salt_and_pepper" => vec![("amount", number(0.0, 1.0)), ("salt", number(0.0, 1.0))],
        "sanitize_boxes" => vec![
            ("min_size", number(0.0, 3.0)),
            ("min_area", number(0.0, 3.0)),
            ("max_boxes", whole(0, 3)),
        ],
        "sanitize_points" => vec![("clamp", flag())],
        "saturation" => vec![
            ("factor", number(0.0, 3.0)),
            ("of", one_of(&["luma", "hsv"])),
        ],
        "scale_jitter" => vec![("target_size", size()), ("scale_range", pair(0.2, 2.0))],
        "sharpness" => vec![
            ("factor", number(0.0, 3.0)),
            ("edge", one_of(&["keep", "black"])),
        ],
        "solarize" => vec![
            ("threshold", number(0.0, 256.0)),
            ("addition", number(-255.0, 255.0)),
        ],
        "solarize_add" => vec![("addition", number(-255.0, 255.0))],
        "three_augment" => vec![("jitter", p()), ("flip", p())],
        "timm_auto_augment" => vec![
            (
                "policy",
                one_of(&["original", "originalr", "v0", "v0r", "3a"]),
            ),
            ("magnitude_std", number(0.0, 3.0)),
        ],
        "timm_rand_augment" => vec![
            ("num_layers", whole(0, 4)),
            ("magnitude", number(0.0, 20.0)),
            ("magnitude_std", number(0.0, 3.0)),
            ("magnitude_max", number(5.0, 20.0)),
            ("increasing", flag()),
            ("weighted", flag()),
            ("prob", p()),
        ],
        "trim_border" => vec![("border", whole(0, 3))],
        "trivial_augment" => vec![("num_magnitude_bins", whole(2, 40))],
        "warp_affine" => with(
            warp_style(),
            vec![("matrix", list(|| list(|| number(-2.0, 2.0), 3, 3), 2, 2))],
        ),
        other => panic!("add parameters of `{other}` here"),
    }
}

/// A spec of that transform. Optional fields are left out at times.
fn spec(name: String) -> BoxedStrategy<Spec> {
    let fields = parameters(&name);
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let values: Vec<_> = fields.into_iter().map(|(_, strategy)| strategy).collect();
    (values, any::<u32>())
        .prop_map(move |(values, left_out)| {
            let mut spec = Spec::new(name.clone());
            if name == "replay" {
                spec = spec.with(
                    "plan",
                    Value::Table(Spec::new("").with("steps", Vec::<Value>::new()).params),
                );
            }
            for (i, (name, value)) in names.iter().zip(values).enumerate() {
                // One in eight.
                if left_out >> (i % 10 * 3) & 7 != 7 {
                    spec = spec.with(*name, value);
                }
            }
            spec
        })
        .boxed()
}

fn small_spec() -> BoxedStrategy<Value> {
    proptest::sample::select(vec![
        "invert",
        "random_rotation",
        "horizontal_flip",
        "color_jitter",
        "crop",
    ])
    .prop_flat_map(|name| spec(name.to_owned()))
    .prop_map(Value::from)
    .boxed()
}

fn any_spec() -> BoxedStrategy<Spec> {
    let registries = registries();
    let names: Vec<String> = registries
        .get::<Transforms>()
        .unwrap()
        .names()
        .map(str::to_owned)
        .collect();
    proptest::sample::select(names).prop_flat_map(spec).boxed()
}

fn image(size: Size, channels: usize, bytes: bool, odd: f32) -> Image {
    let n = size.area() * channels;
    if bytes {
        return Image::from_u8(
            (0..n).map(|i| (i * 89 % 256) as u8).collect(),
            size,
            channels,
        )
        .unwrap();
    }
    let mut values: Vec<f32> = (0..n).map(|i| (i * 89 % 256) as f32 / 255.0).collect();
    if let Some(first) = values.first_mut() {
        *first = odd;
    }
    Image::from_f32(values, size, channels).unwrap()
}

fn sample(size: Size, channels: usize, bytes: bool, odd: f32, targets: bool) -> Sample {
    let mut sample = Sample::new(image(size, channels, bytes, odd));
    if targets {
        let (w, h) = (size.width as f32, size.height as f32);
        sample.boxes = Some(Boxes::new(vec![
            [0.0, 0.0, w, h],
            [w / 4.0, h / 4.0, w / 2.0, h / 2.0],
            [-3.0, 1.0, 2.0, 200.0],
        ]));
        sample.points = Some(Points::new(vec![
            [0.0, 0.0],
            [w / 2.0, h / 3.0],
            [-9.0, 99.0],
        ]));
        sample.masks = vec![image(size, 1, true, 0.0)];
    }
    sample
}

#[test]
fn every_registered_name_has_parameters_and_a_summary() {
    let registries = registries();
    let registry = registries.get::<Transforms>().unwrap();
    let mut names = BTreeSet::new();
    for name in registry.names() {
        parameters(name);
        assert!(
            registry.summary(name).is_some_and(|s| !s.is_empty()),
            "{name}"
        );
        assert!(names.insert(name.to_owned()));
    }
    assert!(names.len() > 90, "{}", names.len());
}

#[test]
fn schemas_have_every_field_that_is_drawn_here() {
    let registries = registries();
    let registry = registries.get::<Transforms>().unwrap();
    for name in registry.names() {
        let schema = registry.schema(name).unwrap();
        let properties = schema.as_table().unwrap().get("properties").unwrap();
        for (field, _) in parameters(name) {
            let properties = properties.as_table().unwrap();
            assert!(properties.contains_key(field), "{name}: {field}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    /// Any parameters and any small image: a result or an error, never a
    /// panic; specs and plans come back through JSON; a plan keeps its word
    /// about size and channels, and masks have it, too.
    #[test]
    fn nothing_panics_and_everything_comes_back(
        spec in any_spec(),
        height in 0_usize..9,
        width in 0_usize..9,
        channels in prop_oneof![8 => Just(3_usize), 4 => Just(1), 1 => 0_usize..6],
        bytes: bool,
        odd in prop_oneof![8 => Just(0.5_f32), 1 => Just(f32::NAN), 1 => Just(f32::INFINITY), 1 => Just(-7.0)],
        targets: bool,
        seed: u64,
    ) {
        let registries = registries();
        let Ok(transform) = registries.build::<Transforms>(&spec) else { return Ok(()) };
        let again: Spec =
            serde_json::from_str(&serde_json::to_string(&transform.spec().unwrap()).unwrap()).unwrap();
        let again = registries.build::<Transforms>(&again).unwrap();
        let mut sample = sample(Size::new(height, width), channels, bytes, odd, targets);
        let key = Key::from_seed(seed);
        let Ok(plan) = transform.plan_sample(&sample, key) else { return Ok(()) };
        prop_assert_eq!(&again.plan_sample(&sample, key).unwrap(), &plan);
        let json = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Plan>(&json).unwrap(), &plan);
        let promised = plan.output(sample.image.size());
        let meta = plan.output_meta(&sample.meta());
        if plan.apply(&mut sample).is_ok() {
            prop_assert_eq!(sample.image.size(), promised);
            prop_assert_eq!(sample.meta(), meta);
            for mask in &sample.masks {
                prop_assert_eq!(mask.size(), promised);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Images of one long row or column are no different.
    #[test]
    fn long_images_are_no_different(spec in any_spec(), tall: bool, bytes: bool, seed: u64) {
        let size = if tall { Size::new(20_000, 1) } else { Size::new(1, 20_000) };
        let Ok(transform) = registries().build::<Transforms>(&spec) else { return Ok(()) };
        let mut sample = sample(size, 3, bytes, 0.5, true);
        if let Ok(plan) = transform.plan_sample(&sample, Key::from_seed(seed)) {
            let promised = plan.output(size);
            if promised.area() < 1 << 22 && plan.apply(&mut sample).is_ok() {
                prop_assert_eq!(sample.image.size(), promised);
            }
        }
    }
}

/// The size of the images on which markers are followed.
const SIZE: Size = Size::new(24, 30);

/// Two smooth spots on a dark ground; the second tells which way is up.
fn spot(x: f32, y: f32) -> Vec<f32> {
    (0..SIZE.area())
        .map(|i| {
            let (dx, dy) = ((i % SIZE.width) as f32 - x, (i / SIZE.width) as f32 - y);
            (-(dx * dx + dy * dy) / 4.0).exp()
        })
        .collect()
}

/// Points on a ring around a spot, as far as the spot is bright, and what a
/// plan makes of them: `None` where the plan can't be applied.
fn surroundings(steps: &[Step], x: f32, y: f32) -> Option<(Vec<[f32; 2]>, Size)> {
    const REACH: f32 = 3.0;
    let ring = [[1.0, 0.0], [0.7, 0.7], [0.0, 1.0], [-0.7, 0.7]];
    let rows = ring
        .iter()
        .flat_map(|[dx, dy]| [[*dx, *dy], [-dx, -dy]])
        .map(|[dx, dy]| [x + dx * REACH, y + dy * REACH])
        .collect();
    let mut sample = Sample::new(Image::from_f32(vec![0.0; SIZE.area()], SIZE, 1).unwrap());
    sample.points = Some(Points::new(rows));
    let plan = Plan {
        steps: steps.to_vec(),
    };
    plan.apply(&mut sample).ok()?;
    Some((sample.points.unwrap().rows, sample.image.size()))
}

/// Whether a spot stays in the picture from step to step: one that leaves it
/// and is brought back has lost what was outside.
fn stays_inside(plan: &Plan, x: f32, y: f32) -> bool {
    (1..plan.steps.len()).all(|count| {
        surroundings(&plan.steps[..count], x, y).is_some_and(|(rows, size)| {
            rows.iter().all(|[x, y]| {
                (0.0..size.width as f32).contains(x) && (0.0..size.height as f32).contains(y)
            })
        })
    })
}

/// Whether a rubber map moves the surroundings of a spot together. Where it
/// folds, or bends much within a spot, the mean of what is drawn says nothing
/// of where its centre went, `at`.
fn rigid_around(plan: &Plan, x: f32, y: f32, at: [f32; 2]) -> bool {
    const BEND: f32 = 1.0;
    surroundings(&plan.steps, x, y).is_some_and(|(rows, _)| {
        // Opposite points lie at equal distances on either side of the centre.
        rows.chunks(2)
            .all(|pair| (0..2).all(|i| (pair[0][i] + pair[1][i] - 2.0 * at[i]).abs() < BEND))
    })
}

/// Makes borders black and interpolation smooth, so that there is one spot.
fn smooth(plan: &mut Plan) -> bool {
    plan.steps.iter_mut().all(|step| match step {
        Step::Warp(warp) => {
            warp.border = firecraft_augment::Border::Constant(vec![0.0]);
            warp.interpolation = Interpolation::Bilinear;
            true
        }
        Step::Displace(displace) => {
            displace.border = firecraft_augment::Border::Constant(vec![0.0]);
            displace.interpolation = Interpolation::Bilinear;
            true
        }
        Step::ResizeRegion(resize) => {
            resize.filter = firecraft_augment::ResizeFilter::Bilinear;
            true
        }
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    /// A drawn marker lands where its key point says, for every transform
    /// that moves pixels and any parameters.
    #[test]
    fn a_marker_lands_where_its_key_point_says(
        spec in any_spec(),
        x in 8.0..21.0_f32,
        y in 8.0..15.0_f32,
        seed: u64,
    ) {
        let registries = registries();
        let Ok(transform) = registries.build::<Transforms>(&spec) else { return Ok(()) };
        let mut sample = Sample::new(Image::from_f32(spot(x, y), SIZE, 1).unwrap());
        sample.boxes = Some(Boxes::new(vec![[x - 1.5, y - 1.5, x + 2.5, y + 2.5]]));
        let Ok(mut plan) = transform.plan_sample(&sample, Key::from_seed(seed)) else { return Ok(()) };
        plan.steps.retain(|step| Plan { steps: vec![step.clone()] }.moves());
        if plan.steps.is_empty() || !smooth(&mut plan) {
            return Ok(());
        }
        if !stays_inside(&plan, x, y) {
            return Ok(());
        }
        sample.points = Some(Points::new(vec![[x, y]]));
        if plan.apply(&mut sample).is_err() {
            return Ok(());
        }
        let [px, py] = sample.points.as_ref().unwrap().rows[0];
        let size = sample.image.size();
        // Compared where the spot is wholly inside and not crushed.
        let values = sample.image.as_f32().unwrap();
        // In f64: a border may be a million pixels wide.
        let weighted = |of: &dyn Fn(usize) -> f64| -> f64 {
            values.iter().enumerate().map(|(i, v)| f64::from(*v) * of(i)).sum()
        };
        let mass = weighted(&|_| 1.0);
        if mass < 1.0 {
            return Ok(());
        }
        let mean_and_spread = |axis: fn(usize, usize) -> usize| {
            let at = |i| axis(i, size.width) as f64;
            let mean = weighted(&at) / mass;
            let variance = weighted(&|i| (at(i) - mean).powi(2)) / mass;
            (mean, variance.sqrt())
        };
        let (mx, sx) = mean_and_spread(|i, width| i % width);
        let (my, sy) = mean_and_spread(|i, width| i / width);
        let inside = |at: f32, s: f64, n: usize| {
            let at = f64::from(at);
            s > 0.4 && at - 4.0 * s > 0.0 && at + 4.0 * s < n as f64 - 1.0
        };
        if !(inside(px, sx, size.width) && inside(py, sy, size.height)) {
            return Ok(());
        }
        // Perspective and rubber move the centre of a spot a little off the
        // image of its centre.
        let linear = plan.steps.iter().all(|step| match step {
            Step::Warp(warp) => warp.matrix.is_affine(),
            Step::ResizeRegion(_) => true,
            _ => false,
        });
        if !linear && !rigid_around(&plan, x, y, [px, py]) {
            return Ok(());
        }
        let tolerance = if linear { 0.12 + 0.05 * (sx + sy) } else { 0.5 + 0.3 * (sx + sy) };
        prop_assert!((mx - f64::from(px)).abs() < tolerance, "{spec}: x {mx} {px}, spread {sx}");
        prop_assert!((my - f64::from(py)).abs() < tolerance, "{spec}: y {my} {py}, spread {sy}");
    }
}
