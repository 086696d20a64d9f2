//! A crop that keeps an object: `random_iou_crop`.

use super::{Crop, plain_transform};
use crate::{
    Apply, AugmentError, Boxes, Factor, Plan, Region, Sample, SampleMeta, Size, Transform,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// The step that drops boxes whose centre is not in a region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectBoxes {
    /// The region.
    pub region: Region,
}

impl Apply for SelectBoxes {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        if let Some(boxes) = &mut sample.boxes {
            boxes.retain(|row| holds_centre(self.region, row));
        }
        Ok(())
    }
}

fn edges(region: Region) -> [f32; 4] {
    [
        region.left as f32,
        region.top as f32,
        (region.left + region.size.width) as f32,
        (region.top + region.size.height) as f32,
    ]
}

fn holds_centre(region: Region, [l, t, r, b]: [f32; 4]) -> bool {
    let (x, y) = ((l + r) / 2.0, (t + b) / 2.0);
    let [left, top, right, bottom] = edges(region);
    left < x && x < right && top < y && y < bottom
}

/// Intersection over union.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |[l, t, r, b]: [f32; 4]| (r - l).max(0.0) * (b - t).max(0.0);
    let both = area([
        a[0].max(b[0]),
        a[1].max(b[1]),
        a[2].min(b[2]),
        a[3].min(b[3]),
    ]);
    both / (area(a) + area(b) - both).max(f32::MIN_POSITIVE)
}

/// Crops at random so that at least one box overlaps the crop as much as
/// drawn from `options`; boxes whose centre is outside are dropped:
/// torchvision's `RandomIoUCrop`, after Liu et al., *SSD: Single Shot MultiBox
/// Detector* (2016).
///
/// It depends on the boxes: plan it with [`Transform::plan_sample`]. A sample
/// without boxes is left as it is, one that declares no boxes is an error.
///
/// ```
/// use firecraft_augment::{Boxes, Image, RandomIouCrop, Sample, Size, Transform};
/// use firecraft_key::Key;
/// let mut sample = Sample::new(Image::from_u8(vec![0; 10_000], Size::new(100, 100), 1)?);
/// sample.boxes = Some(Boxes::new(vec![[40.0, 40.0, 60.0, 60.0]]));
/// let crop = RandomIouCrop::new();
/// crop.plan_sample(&sample, Key::from_seed(1))?.apply(&mut sample)?;
/// assert_eq!(sample.boxes.unwrap().rows.len(), 1);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomIouCrop {
    /// Range of the sides of the crop over those of the image, inside
    /// `(0, 1]`.
    pub scale: Factor,
    /// Range of width over height of the crop, inside `[1e-3, 1000]`.
    pub aspect_ratio: Factor,
    /// Overlaps (intersection over union) to choose from; from 1 on, the
    /// image stays.
    pub options: Vec<f32>,
    /// How often a crop is tried before another overlap is drawn, in
    /// `1..=1000`.
    pub trials: u32,
}

impl Default for RandomIouCrop {
    fn default() -> Self {
        Self::new()
    }
}

impl RandomIouCrop {
    /// torchvision's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            scale: Factor::from((0.3, 1.0)),
            aspect_ratio: Factor::from((0.5, 2.0)),
            options: vec![0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0],
            trials: 40,
        }
    }

    fn region(&self, image: Size, boxes: &Boxes, key: Key) -> Option<Region> {
        /// Draws of an overlap: without one that keeps the image, none may fit.
        const ROUNDS: u32 = 64;
        let mut rng = key.rng();
        for _ in 0..ROUNDS {
            let least = self.options[rng.below(self.options.len() as u64) as usize];
            if least >= 1.0 {
                return None;
            }
            for _ in 0..self.trials {
                let width = (image.width as f64 * self.scale.draw(&mut rng)) as usize;
                let height = (image.height as f64 * self.scale.draw(&mut rng)) as usize;
                let left = rng.below((image.width - width) as u64 + 1) as usize;
                let top = rng.below((image.height - height) as u64 + 1) as usize;
                let size = Size::new(height, width);
                let ratio = width as f64 / height as f64;
                let fits = (self.aspect_ratio.low()..=self.aspect_ratio.high()).contains(&ratio);
                if size.area() == 0 || !fits {
                    continue;
                }
                let region = Region { top, left, size };
                let best = boxes
                    .rows
                    .iter()
                    .filter(|row| holds_centre(region, **row))
                    .map(|row| overlap(*row, edges(region)))
                    .reduce(f32::max);
                if best.is_some_and(|best| best >= least) {
                    return Some(region);
                }
            }
        }
        None
    }
}

impl Transform for RandomIouCrop {
    plain_transform!("random_iou_crop");

    fn validate(&self) -> Result<(), AugmentError> {
        let expected = "an ordered pair in [1e-3, 1]";
        self.scale
            .check(self.name(), "scale", 1e-3..=1.0, expected)?;
        let expected = "an ordered pair in [1e-3, 1000]";
        self.aspect_ratio
            .check(self.name(), "aspect_ratio", 1e-3..=1e3, expected)?;
        if self.options.is_empty() || !self.options.iter().all(|v| *v >= 0.0) {
            let got = format!("{:?}", self.options);
            let expected = "at least one number from 0 on";
            return Err(AugmentError::parameter(
                self.name(),
                "options",
                got,
                expected,
            ));
        }
        if !(1..=1000).contains(&self.trials) {
            let expected = "a number in 1..=1000";
            return Err(AugmentError::parameter(
                self.name(),
                "trials",
                self.trials,
                expected,
            ));
        }
        Ok(())
    }

    fn plan(&self, _meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        Err(AugmentError::Image {
            operation: self.name(),
            got: "the size of an image alone".into(),
            expected: "its boxes, too: plan with `plan_sample`".into(),
        })
    }

    fn plan_sample(&self, sample: &Sample, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let Some(boxes) = &sample.boxes else {
            return Err(AugmentError::Image {
                operation: self.name(),
                got: "a sample without boxes".into(),
                expected: "boxes to keep".into(),
            });
        };
        let image = sample.image.size();
        if boxes.rows.is_empty() || image.area() == 0 {
            return Ok(Plan::identity());
        }
        Ok(self
            .region(image, boxes, key)
            .map_or_else(Plan::identity, |region| {
                let mut plan = Plan::from(SelectBoxes { region });
                let Region { top, left, size } = region;
                plan.extend(Crop::new(top as i64, left as i64, size).warp().into());
                plan
            }))
    }

    fn needs_targets(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compose, HorizontalFlip, Image, RandomZoomOut};

    fn sample() -> Sample {
        let image = Image::from_u8(vec![0; 60 * 80], Size::new(60, 80), 1).unwrap();
        let mut sample = Sample::new(image);
        sample.boxes = Some(Boxes::new(vec![
            [10.0, 10.0, 30.0, 30.0],
            [60.0, 40.0, 78.0, 58.0],
        ]));
        sample
    }

    #[test]
    fn a_box_with_its_centre_inside_is_kept() {
        let crop = RandomIouCrop {
            options: vec![0.1, 0.3],
            ..RandomIouCrop::new()
        };
        let mut cropped = 0;
        for seed in 0..60 {
            let mut sample = sample();
            let plan = crop.plan_sample(&sample, Key::from_seed(seed)).unwrap();
            cropped += usize::from(!plan.steps.is_empty());
            plan.apply(&mut sample).unwrap();
            assert!(!sample.boxes.unwrap().rows.is_empty());
        }
        assert!(cropped > 50, "{cropped}");
    }

    #[test]
    fn boxes_that_earlier_steps_moved_are_the_ones_that_count() {
        let chain = Compose::new()
            .with(RandomZoomOut::new((2.0, 2.0), 1.0))
            .with(RandomIouCrop {
                options: vec![0.0],
                ..RandomIouCrop::new()
            })
            .with(HorizontalFlip::new(0.5));
        assert!(chain.needs_targets());
        for seed in 0..30 {
            let mut sample = sample();
            let plan = chain.plan_sample(&sample, Key::from_seed(seed)).unwrap();
            plan.apply(&mut sample).unwrap();
            assert!(!sample.boxes.unwrap().rows.is_empty());
        }
    }

    #[test]
    fn no_boxes_declared_is_an_error_and_none_there_is_not() {
        let crop = RandomIouCrop::new();
        let mut without = sample();
        without.boxes = Some(Boxes::default());
        assert_eq!(
            crop.plan_sample(&without, Key::from_seed(0)).unwrap(),
            Plan::identity()
        );
        without.boxes = None;
        assert!(crop.plan_sample(&without, Key::from_seed(0)).is_err());
        let error = crop.plan(&without.meta(), Key::from_seed(0)).unwrap_err();
        assert!(error.to_string().contains("plan_sample"), "{error}");
    }
}
