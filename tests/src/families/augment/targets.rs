//! Boxes, key points and masks that move with an image.

use super::images::load;
use crate::compare::{Tolerance, close, equal};
use crate::families::{Outcome, failed};
use crate::golden::{Field, File};
use firecraft::augment::{BoxRules, Boxes, Image, Plan, Points, Sample, SampleMeta, Size};

/// How a peer measures key points.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Convention {
    /// As we do: from the centre of the top left pixel.
    Centre,
    /// From the corner of the image: torchvision, except for flips.
    Corner,
}

impl Convention {
    fn offset(self) -> f64 {
        match self {
            Self::Centre => 0.0,
            Self::Corner => 0.5,
        }
    }
}

/// How near boxes and key points have to be.
pub(super) const TOLERANCE: Tolerance = Tolerance {
    abs: 1e-4,
    rel: 1e-5,
};

/// Moves the targets of a case by a plan and compares.
pub(super) fn check(
    file: &File,
    targets: &Field<'_>,
    (points, tolerance): (Convention, Tolerance),
    mask_fill: u8,
    plan: impl Fn(&SampleMeta) -> Result<Plan, Outcome>,
) -> Result<(), Outcome> {
    let rules = BoxRules {
        keep_empty: true,
        ..BoxRules::default()
    };
    let mut sample = sample(file, targets, points, rules)?;
    sample.mask_fill = mask_fill;
    let moved = moved(sample, plan)?;
    compare(targets, &moved, points, tolerance)
}

/// The sample on which the peers moved targets.
pub(super) fn sample(
    file: &File,
    fields: &Field<'_>,
    points: Convention,
    rules: BoxRules,
) -> Result<Sample, Outcome> {
    let small = load(file, "small")?;
    let [channels, height, width] = small.shape;
    let size = Size::new(height, width);
    let mask = small.data[..size.area()]
        .iter()
        .map(|&v| u8::from(v > 128))
        .collect();
    let image = Image::from_u8_planes(&small.data, size, channels).map_err(failed)?;
    let mut sample = Sample::new(image);
    sample.masks = vec![Image::from_u8(mask, size, 1).map_err(failed)?];
    sample.boxes = Some(Boxes::new(rows(&fields.get("boxes_in"))?).with_rules(rules));
    let offset = points.offset() as f32;
    let points = rows::<2>(&fields.get("keypoints_in"))?;
    sample.points = Some(Points::new(
        points.into_iter().map(|p| p.map(|v| v - offset)).collect(),
    ));
    Ok(sample)
}

pub(super) fn moved(
    mut sample: Sample,
    plan: impl Fn(&SampleMeta) -> Result<Plan, Outcome>,
) -> Result<Sample, Outcome> {
    plan(&sample.meta())?.apply(&mut sample).map_err(failed)?;
    Ok(sample)
}

/// Compares what the peer could move; where it refused, we may do more.
pub(super) fn compare(
    expected: &Field<'_>,
    moved: &Sample,
    points: Convention,
    tolerance: Tolerance,
) -> Result<(), Outcome> {
    let flat = |rows: &[[f32; 4]]| {
        rows.iter()
            .flatten()
            .copied()
            .map(f64::from)
            .collect::<Vec<_>>()
    };
    if let (false, Some(boxes)) = (expected.get("boxes").is_null(), &moved.boxes) {
        let want = expected.get("boxes").tensor()?;
        close("boxes", &flat(&boxes.rows), &want.data, tolerance)?;
        if !expected.get("boxes_kept").is_null() {
            equal(
                "boxes_kept",
                boxes.source.clone(),
                expected.get("boxes_kept").usizes()?,
            )?;
        }
    }
    if let (false, Some(moved)) = (expected.get("keypoints").is_null(), &moved.points) {
        let want = expected.get("keypoints").tensor()?;
        let got: Vec<f64> = moved
            .rows
            .iter()
            .flatten()
            .map(|&v| f64::from(v) + points.offset())
            .collect();
        close("keypoints", &got, &want.data, tolerance)?;
    }
    if !expected.get("mask").is_null() {
        let want = expected.get("mask").tensor()?;
        let got = moved.masks[0]
            .to_planes()
            .into_iter()
            .map(f64::from)
            .collect::<Vec<_>>();
        close("mask", &got, &want.data, Tolerance::EXACT)?;
    }
    Ok(())
}

fn rows<const N: usize>(field: &Field<'_>) -> Result<Vec<[f32; N]>, Outcome> {
    field
        .items()?
        .iter()
        .map(|row| {
            let row: Vec<f32> = row.f64s()?.into_iter().map(|v| v as f32).collect();
            <[f32; N]>::try_from(row).map_err(|_| Outcome::Failed(format!("rows of {N} numbers")))
        })
        .collect()
}
