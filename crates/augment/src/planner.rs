//! Fusion: fewer steps for the same plan.

use crate::ops::{ColorMatrix, ResizeRegion};
use crate::plan::{Plan, Step};
use crate::{Size, Warp};
use std::fmt;

/// What became of the steps of a plan; printed, one line per step that is
/// left.
#[derive(Clone, Debug, PartialEq)]
pub struct Fusion {
    /// The fused plan.
    pub plan: Plan,
    /// What each step of the fused plan stands for.
    pub steps: Vec<Fused>,
    /// The kinds of steps that undid each other, one entry per group.
    pub undone: Vec<Vec<&'static str>>,
}

/// What one or several steps became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fused {
    /// The kinds of the steps.
    pub from: Vec<&'static str>,
    /// The kind of the step that stands for them.
    pub into: &'static str,
    /// Whether a table of bytes stands for this step and the next, where the
    /// image consists of bytes.
    pub table: bool,
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            write!(f, "{}", step.from.join(" + "))?;
            if step.from.len() > 1 {
                write!(f, " -> one {}", step.into)?;
            }
            if step.table {
                write!(f, ", with the next one table of bytes")?;
            }
            writeln!(f)?;
        }
        for kinds in &self.undone {
            writeln!(f, "{} -> nothing", kinds.join(" + "))?;
        }
        Ok(())
    }
}

struct Entry {
    step: Step,
    from: Vec<&'static str>,
    /// Size of the image that the step reads.
    input: Size,
    /// Its channels, if they are known. Steps that join don't change them.
    channels: Option<usize>,
}

/// Joins neighbours, from left to right, as long as they join. Colours join
/// only if the number of channels is known.
pub(crate) fn fuse(steps: Vec<Step>, input: Size, channels: Option<usize>) -> Fusion {
    let mut stack: Vec<Entry> = Vec::with_capacity(steps.len());
    let mut undone = Vec::new();
    let mut size = input;
    let mut channels = channels;
    for step in steps {
        let apply = step.as_apply();
        let output = (apply.output(size), channels.and_then(|n| apply.channels(n)));
        stack.push(Entry {
            from: vec![step.kind()],
            step,
            input: size,
            channels,
        });
        (size, channels) = output;
        settle(&mut stack, &mut undone, channels);
    }
    meet_tones(&mut stack);
    let tables: Vec<bool> = stack
        .iter()
        .map(|entry| entry.step.as_apply().byte_map().is_some())
        .collect();
    let mut fusion = Fusion {
        plan: Plan::identity(),
        steps: Vec::with_capacity(stack.len()),
        undone,
    };
    for (i, entry) in stack.into_iter().enumerate() {
        fusion.steps.push(Fused {
            into: entry.step.kind(),
            from: entry.from,
            table: tables[i] && tables.get(i + 1).copied().unwrap_or(false),
        });
        fusion.plan.steps.push(entry.step);
    }
    fusion
}

/// Makes a change of contrast between changes that go through one pass a matrix,
/// which goes with them: by itself it takes its mean from grey bytes.
fn meet_tones(stack: &mut [Entry]) {
    let is_tone =
        |entry: Option<&Entry>| entry.is_some_and(|entry| entry.step.as_apply().tone().is_some());
    for i in 0..stack.len() {
        let near =
            is_tone(i.checked_sub(1).and_then(|i| stack.get(i))) || is_tone(stack.get(i + 1));
        let entry = &mut stack[i];
        if near
            && entry.channels == Some(3)
            && let Step::Contrast(contrast) = &entry.step
            && let Some(matrix) = crate::Apply::color_matrix(contrast, 3)
        {
            entry.step = matrix.into();
        }
    }
}

fn settle(stack: &mut Vec<Entry>, undone: &mut Vec<Vec<&'static str>>, channels: Option<usize>) {
    while let [.., first, second] = stack.as_mut_slice() {
        let Some(joined) = join(&first.step, &second.step, first.input, channels) else {
            break;
        };
        first.step = joined;
        first.from.append(&mut second.from);
        stack.pop();
    }
    let nothing = |entry: &Entry| {
        entry
            .step
            .as_warp()
            .is_some_and(|warp| warp.is_identity(entry.input))
    };
    if stack.last().is_some_and(nothing)
        && let Some(entry) = stack.pop()
    {
        undone.push(entry.from);
    }
}

/// One step for two, of which the first reads an image of that size.
fn join(first: &Step, second: &Step, input: Size, channels: Option<usize>) -> Option<Step> {
    match (first, second) {
        (Step::Warp(first), Step::Warp(second)) => {
            return first.then(second, input).map(Step::Warp);
        }
        (Step::ResizeRegion(resize), Step::Warp(warp)) => {
            return flipped(resize, warp).map(Step::ResizeRegion);
        }
        (Step::Warp(warp), Step::ResizeRegion(resize)) => {
            return cropped(warp, resize, input).map(Step::ResizeRegion);
        }
        _ => {}
    }
    let channels = channels.filter(|n| matches!(n, 3 | 4))?;
    let [a, b] = [first, second].map(Step::as_apply);
    // A table of bytes is as fast, and exact.
    if a.byte_map().is_some() && b.byte_map().is_some() {
        return None;
    }
    let joined: ColorMatrix = a.color_matrix(channels)?.then(&b.color_matrix(channels)?);
    Some(joined.into())
}

/// Resizing, then mirroring: the same filters in reverse order.
fn flipped(resize: &ResizeRegion, warp: &Warp) -> Option<ResizeRegion> {
    if warp.size != resize.size {
        return None;
    }
    let [[a, b, x], [c, d, y]] = warp.matrix.as_pixel_map()?;
    let far = [warp.size.width, warp.size.height].map(|n| n as i64 - 1);
    let across = match (a, x) {
        (1, 0) => false,
        (-1, x) if x == far[0] => true,
        _ => return None,
    };
    let down = match (d, y) {
        (1, 0) => false,
        (-1, y) if y == far[1] => true,
        _ => return None,
    };
    (b == 0 && c == 0).then(|| ResizeRegion {
        flipped: (resize.flipped.0 != across, resize.flipped.1 != down),
        ..resize.clone()
    })
}

/// Cropping, then resizing: a part of the region.
fn cropped(warp: &Warp, resize: &ResizeRegion, input: Size) -> Option<ResizeRegion> {
    let [[1, 0, left], [0, 1, top]] = warp.matrix.as_pixel_map()? else {
        return None;
    };
    let mut region = resize.region;
    region.left = region
        .left
        .checked_add_signed(isize::try_from(left).ok()?)?;
    region.top = region.top.checked_add_signed(isize::try_from(top).ok()?)?;
    (warp.is_exact(input) && region.is_inside(input)).then(|| ResizeRegion {
        region,
        ..resize.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{apply, meta};
    use crate::{
        Brightness, CenterCrop, ColorJitter, Compose, Contrast, HorizontalFlip, Image, Invert,
        Posterize, RandomResizedCrop, Region, Sample, SampleMeta, Saturation, Solarize, Transform,
        VerticalFlip,
    };
    use firecraft_key::Key;
    use proptest::prelude::*;

    const META: SampleMeta = SampleMeta {
        size: Size::new(24, 31),
        channels: 3,
    };

    proptest! {
        #[test]
        fn crops_and_flips_join_resizing_bit_for_bit(seed: u64, smooth: bool) {
            let chain = Compose::new()
                .with(CenterCrop::new(Size::new(20, 22)))
                .with(RandomResizedCrop::new(Size::new(15, 13)).with_antialias(smooth))
                .with(HorizontalFlip::new(0.5))
                .with(VerticalFlip::new(0.5));
            let image: Vec<f32> = (0..META.size.area()).map(|i| (i * 37 % 101) as f32).collect();
            let key = Key::from_seed(seed);
            let fused = chain.plan(&meta(META.size), key).unwrap();
            let exact = chain.clone().exact().plan(&meta(META.size), key).unwrap();
            prop_assert_eq!(fused.steps.len(), 1);
            prop_assert_eq!(apply(&fused, &image, META.size), apply(&exact, &image, META.size));
            let (point, same) = (fused.map_point(11.0, 7.0), exact.map_point(11.0, 7.0));
            let distance = point.zip(same).map(|(a, b)| (a.0 - b.0).abs() + (a.1 - b.1).abs());
            prop_assert!(distance.unwrap() < 1e-9, "{point:?} {same:?}");
            let (x, y) = point.unwrap();
            let (x, y) = fused.inverse(META.size).unwrap().map_point(x, y).unwrap();
            prop_assert!((x - 11.0).abs() + (y - 7.0).abs() < 1e-6, "{x} {y}");
        }

        /// The error that the documentation states.
        #[test]
        fn fused_and_exact_colours_agree_to_two_levels_per_step(seed: u64) {
            let chain = Compose::new().with(ColorJitter::new(0.2, 0.4, 0.4, 0.0));
            let wave = |x: usize, y: usize, c: usize| {
                127.5 + 30.0 * (x as f32 / 7.0 + c as f32).sin() + 20.0 * (y as f32 / 5.0).cos()
            };
            let bytes: Vec<u8> = (0..META.size.area() * 3)
                .map(|i| wave(i / 3 % 31, i / 93, i % 3) as u8)
                .collect();
            let run = |chain: &Compose| {
                let image = Image::from_u8(bytes.clone(), META.size, 3).unwrap();
                let mut sample = Sample::new(image);
                let plan = chain.plan(&META, Key::from_seed(seed)).unwrap();
                plan.apply(&mut sample).unwrap();
                (plan.steps.len(), sample.image.to_planes())
            };
            let ((one, fused), (three, exact)) = (run(&chain), run(&chain.clone().exact()));
            prop_assert_eq!((one, three), (1, 3));
            for (a, b) in fused.iter().zip(&exact) {
                prop_assert!((a - b).abs() <= 6.0, "{a} {b}");
            }
        }
    }

    #[test]
    fn tables_stay_tables_and_are_reported() {
        let plan = Plan {
            steps: vec![
                Posterize::new(4).into(),
                Solarize::new(128.0).into(),
                Saturation::new(0.5).into(),
            ],
        };
        let fusion = plan.fusion(&META);
        assert_eq!(fusion.plan, plan);
        assert_eq!(
            fusion.to_string(),
            "Posterize, with the next one table of bytes\nSolarize\nSaturation\n"
        );
    }

    #[test]
    fn a_contrast_beside_a_hue_goes_through_its_pass() {
        let plan = Plan {
            steps: vec![Contrast::new(0.5).into(), crate::Hue::new(0.1).into()],
        };
        let fused = plan.clone().fused_for(&META);
        assert_eq!(fused.steps[0].kind(), "ColorMatrix");
        assert_eq!(plan.clone().fused_for(&meta(META.size)), plan);
        let alone = Plan::from(Contrast::new(0.5));
        assert_eq!(alone.clone().fused_for(&META), alone);
    }

    #[test]
    fn steps_of_one_channel_do_not_become_colours() {
        let steps: Vec<Step> = vec![Brightness::new(0.5).into(), Contrast::new(0.5).into()];
        let plan = Plan { steps };
        assert_eq!(plan.clone().fused_for(&meta(META.size)), plan);
        assert_eq!(plan.fused_for(&META).steps.len(), 1);
    }

    #[test]
    fn colours_join_after_a_step_that_makes_them_and_not_after_one_that_takes_them() {
        let after = |first: Step, channels: usize| {
            let steps = vec![
                first,
                Brightness::new(0.5).into(),
                Contrast::new(0.5).into(),
            ];
            let meta = SampleMeta { channels, ..META };
            Plan { steps }.fused_for(&meta).steps.len()
        };
        assert_eq!(after(crate::ToRgb::default().into(), 1), 2);
        let grey = crate::Grayscale::new().single_channel();
        assert_eq!(after(grey.into(), 3), 3);
    }

    #[test]
    fn what_undoes_itself_is_reported() {
        let flip = Step::from(Warp::exact(
            crate::Matrix::horizontal_flip(META.size),
            META.size,
        ));
        let plan = Plan {
            steps: vec![flip.clone(), flip, Invert::new().into()],
        };
        let fusion = plan.fusion(&META);
        assert_eq!(fusion.plan.steps.len(), 1);
        assert_eq!(fusion.to_string(), "Invert\nWarp + Warp -> nothing\n");
    }

    #[test]
    fn a_crop_that_pads_does_not_join() {
        let pad = Warp {
            size: Size::new(30, 40),
            ..Warp::exact(crate::Matrix::translation(-2.0, -2.0), META.size)
        };
        let resize = ResizeRegion {
            region: Region::all(pad.size),
            size: Size::new(5, 5),
            filter: crate::ResizeFilter::Bilinear,
            antialias: true,
            flipped: (false, false),
        };
        assert_eq!(cropped(&pad, &resize, META.size), None);
    }
}
