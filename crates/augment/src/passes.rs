//! Doing the steps of a plan, several in one pass over the image where that
//! gives the same bytes.

use crate::kernel::{Layout, Pixels, change_tones, look_up};
use crate::plan::Step;
use crate::{AugmentError, Sample};

/// Applies the first step to a source, or copies it; returns the steps that are
/// left.
pub(crate) fn begin<'a>(
    steps: &'a [Step],
    source: &Pixels<'_, u8>,
    sample: &mut Sample,
) -> Result<&'a [Step], AugmentError> {
    match steps.split_first() {
        Some((Step::Warp(warp), rest)) if source.layout() == Layout::Hwc => {
            sample.image.set_warped(source, warp)?;
            sample.warp_targets(warp)?;
            Ok(rest)
        }
        Some((Step::ResizeRegion(resize), rest)) if source.layout() == Layout::Hwc => {
            resize.read(source, &mut sample.image)?;
            resize.targets(sample)?;
            Ok(rest)
        }
        _ => {
            sample.image.set_u8(source)?;
            Ok(steps)
        }
    }
}

/// Applies steps in order.
pub(crate) fn apply(steps: &[Step], sample: &mut Sample) -> Result<(), AugmentError> {
    let mut rest = steps;
    while let Some((step, after)) = rest.split_first() {
        let channels = sample.image.channels();
        let joined = match sample.image.bytes_mut() {
            Some(bytes) => join_tables(rest, bytes).or_else(|| join_tones(rest, bytes, channels)),
            None => None,
        };
        rest = match joined {
            Some(rest) => rest,
            None => {
                step.as_apply().apply(sample)?;
                after
            }
        };
    }
    Ok(())
}

/// Several tables at the beginning as one; returns the steps that are left.
fn join_tables<'a>(steps: &'a [Step], bytes: &mut [u8]) -> Option<&'a [Step]> {
    let table = |step: &Step| step.as_apply().byte_map();
    let (first, rest) = steps.split_first()?;
    let (second, mut rest) = rest.split_first()?;
    let (mut map, mut next) = (table(first)?, table(second)?);
    loop {
        map = map.map(|byte| next[usize::from(byte)]);
        let Some((third, after)) = rest.split_first() else {
            break;
        };
        let Some(found) = table(third) else {
            break;
        };
        (next, rest) = (found, after);
    }
    look_up(bytes, &map);
    Some(rest)
}

/// Several tones at the beginning in one pass; returns the steps that are left.
fn join_tones<'a>(steps: &'a [Step], bytes: &mut [u8], channels: usize) -> Option<&'a [Step]> {
    let joined = leading_tones(steps);
    if channels != 3 || joined < 2 {
        return None;
    }
    let (tones, rest) = steps.split_at(joined);
    change_tones(
        bytes,
        tones.iter().filter_map(|step| step.as_apply().tone()),
    );
    Some(rest)
}

/// How many steps at the beginning are tones that one pass can do: only the
/// first may need the mean.
fn leading_tones(steps: &[Step]) -> usize {
    let fits = |(i, step): (usize, &Step)| {
        let tone = step.as_apply().tone();
        tone.is_some_and(|tone| i == 0 || !tone.needs_mean())
    };
    steps
        .iter()
        .enumerate()
        .take_while(|&(i, step)| fits((i, step)))
        .count()
}

/// Splits off the tones at the end that the last pass can do.
pub(crate) fn split_last_tones(steps: &[Step]) -> (&[Step], &[Step]) {
    let mut at = steps.len();
    while at > 0
        && let Some(tone) = steps[at - 1].as_apply().tone()
    {
        at -= 1;
        if tone.needs_mean() {
            break;
        }
    }
    steps.split_at(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Boxes, Brightness, ColorMatrix, Contrast, HorizontalFlip, Hue, Image, Invert, Posterize,
        Region, ResizeFilter, ResizeRegion, SampleMeta, Saturation, Size, Solarize, Transform,
    };
    use firecraft_key::Key;
    use proptest::prelude::*;

    const SIZE: Size = Size::new(17, 19);

    fn bytes() -> Vec<u8> {
        (0..SIZE.area() * 3)
            .map(|i| (i * 101 % 256) as u8)
            .collect()
    }

    fn sample() -> Sample {
        Sample::new(Image::from_u8(bytes(), SIZE, 3).unwrap())
    }

    fn with_mean() -> ColorMatrix {
        ColorMatrix::line([0.7; 3], [0.02; 3]).with_mean([[0.1, 0.15, 0.05]; 3])
    }

    proptest! {
        #[test]
        fn steps_in_one_pass_give_the_bytes_of_single_steps(
            kinds in proptest::collection::vec(0..8, 1..6), factor in 0.4..1.6_f32,
            turn in -0.5..0.5_f32,
        ) {
            let steps: Vec<Step> = kinds
                .into_iter()
                .map(|kind| match kind {
                    0 => Brightness::new(factor).into(),
                    1 => Hue::new(turn).into(),
                    2 => Saturation::new(factor).into(),
                    3 => with_mean().into(),
                    4 => ColorMatrix::sepia().into(),
                    5 => Posterize::new(5).into(),
                    6 => Solarize::new(100.0).into(),
                    _ => Invert::new().into(),
                })
                .collect();
            let (mut one, mut other) = (sample(), sample());
            apply(&steps, &mut one).unwrap();
            for step in steps {
                step.as_apply().apply(&mut other).unwrap();
            }
            prop_assert_eq!(one.image.as_u8(), other.image.as_u8());
        }

        #[test]
        fn a_source_gives_what_its_copy_gives(seed: u64, resized: bool) {
            let meta = SampleMeta { size: SIZE, channels: 3 };
            let mut plan = HorizontalFlip::new(0.5).plan(&meta, Key::from_seed(seed)).unwrap();
            let resize = ResizeRegion {
                region: Region { top: 1, left: 2, size: Size::new(11, 12) },
                size: Size::new(9, 23),
                filter: ResizeFilter::Bilinear,
                antialias: false,
                flipped: (true, false),
            };
            if resized {
                plan.steps.insert(0, resize.into());
            }
            plan.extend(Contrast::new(0.5).into());
            let data = bytes();
            let source = Pixels::new(&data, SIZE, 3, Layout::Hwc).unwrap();
            let mut copied = sample();
            copied.boxes = Some(Boxes::new(vec![[1.0, 2.0, 9.0, 7.0]]));
            let mut read = copied.clone();
            read.image = Image::from_u8(vec![0; 3], Size::new(1, 1), 3).unwrap();
            plan.apply(&mut copied).unwrap();
            plan.apply_to(&source, &mut read).unwrap();
            prop_assert_eq!(copied, read);
        }
    }

    #[test]
    fn the_last_tones_are_those_that_one_pass_can_do() {
        let steps: Vec<Step> = vec![
            Hue::new(0.1).into(),
            with_mean().into(),
            Hue::new(0.1).into(),
            Saturation::new(0.5).into(),
        ];
        assert_eq!(split_last_tones(&steps).0.len(), 1);
        assert_eq!(leading_tones(&steps), 1);
        assert_eq!(leading_tones(&steps[1..]), 3);
        assert_eq!(split_last_tones(&[Invert::new().into()]).1.len(), 0);
    }
}
