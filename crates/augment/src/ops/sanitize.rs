//! Targets put in order: `sanitize_boxes`, `sanitize_points`.

use super::fixed_step;
use crate::{Apply, AugmentError, Sample};
use serde::{Deserialize, Serialize};

/// Clips boxes to the image and drops those that are too small or too many:
/// torchvision's `ClampBoundingBoxes` and `SanitizeBoundingBoxes`, Keras'
/// `MaxNumBoundingBoxes`.
///
/// Every geometric step applies the [`BoxRules`](crate::BoxRules) of the boxes
/// anyway; this is for boxes as they come from files, and for other limits at
/// the end of a chain.
///
/// ```
/// use firecraft_augment::{Boxes, Image, Plan, Sample, SanitizeBoxes, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![0; 100], Size::new(10, 10), 1)?);
/// sample.boxes = Some(Boxes::new(vec![[-5.0, 2.0, 3.0, 20.0], [4.0, 4.0, 4.5, 9.0]]));
/// Plan::from(SanitizeBoxes::default()).apply(&mut sample)?;
/// assert_eq!(sample.boxes.unwrap().rows, [[0.0, 2.0, 3.0, 10.0]]);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SanitizeBoxes {
    /// Boxes with a shorter side are dropped, in pixels, from 0 on.
    pub min_size: f32,
    /// Boxes with a smaller area are dropped, in square pixels, from 0 on.
    pub min_area: f32,
    /// How many are kept, the first ones; all by default.
    pub max_boxes: Option<usize>,
}

impl Default for SanitizeBoxes {
    fn default() -> Self {
        Self {
            min_size: 1.0,
            min_area: 1.0,
            max_boxes: None,
        }
    }
}

impl SanitizeBoxes {
    fn check(&self) -> Result<(), AugmentError> {
        super::check_strength("sanitize_boxes", "min_size", self.min_size)?;
        super::check_strength("sanitize_boxes", "min_area", self.min_area)
    }
}

impl Apply for SanitizeBoxes {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        let size = sample.image.size();
        let Some(boxes) = &mut sample.boxes else {
            return Ok(());
        };
        for row in &mut boxes.rows {
            let (width, height) = (size.width as f32, size.height as f32);
            // A coordinate that is no number makes an empty box.
            let clip = |v: f32, n: f32| v.max(0.0).min(n);
            *row = [
                clip(row[0], width),
                clip(row[1], height),
                clip(row[2], width),
                clip(row[3], height),
            ];
        }
        let mut left = self.max_boxes.unwrap_or(usize::MAX);
        boxes.retain(|[l, t, r, b]| {
            let (w, h) = (r - l, b - t);
            let keep = left > 0 && w.min(h) >= self.min_size && w * h >= self.min_area;
            left -= usize::from(keep);
            keep
        });
        Ok(())
    }
}

fixed_step!(SanitizeBoxes, "sanitize_boxes");

/// Drops key points outside the image, or moves them to its edge:
/// torchvision's `SanitizeKeyPoints` and `ClampKeyPoints`.
///
/// ```
/// use firecraft_augment::{Image, Plan, Points, Sample, SanitizePoints, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![0; 100], Size::new(10, 10), 1)?);
/// sample.points = Some(Points::new(vec![[2.0, 3.0], [4.0, 12.0]]));
/// Plan::from(SanitizePoints::default()).apply(&mut sample)?;
/// assert_eq!(sample.points.unwrap().source, [0]);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SanitizePoints {
    /// Whether points outside move to the centre of the nearest pixel instead
    /// of being dropped.
    pub clamp: bool,
}

impl SanitizePoints {
    #[expect(clippy::unused_self)]
    const fn check(&self) -> Result<(), AugmentError> {
        Ok(())
    }
}

impl Apply for SanitizePoints {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let size = sample.image.size();
        let Some(points) = &mut sample.points else {
            return Ok(());
        };
        if self.clamp && size.area() > 0 {
            for [x, y] in &mut points.rows {
                *x = x.max(0.0).min(size.width as f32 - 1.0);
                *y = y.max(0.0).min(size.height as f32 - 1.0);
            }
        }
        points.drop_outside(size);
        Ok(())
    }
}

fixed_step!(SanitizePoints, "sanitize_points");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Boxes, Image, Plan, Points, Size};

    fn sample() -> Sample {
        Sample::new(Image::from_u8(vec![0; 100], Size::new(10, 10), 1).unwrap())
    }

    #[test]
    fn boxes_are_limited_in_number_and_remember_where_they_came_from() {
        let mut sample = sample();
        let row = |l: f32| [l, 0.0, l + 2.0, 2.0];
        sample.boxes = Some(Boxes::new(vec![row(20.0), row(1.0), row(2.0), row(3.0)]));
        let limit = SanitizeBoxes {
            max_boxes: Some(2),
            ..SanitizeBoxes::default()
        };
        Plan::from(limit).apply(&mut sample).unwrap();
        assert_eq!(sample.boxes.unwrap().source, [1, 2]);
    }

    #[test]
    fn what_is_no_number_is_dropped() {
        let mut sample = sample();
        sample.boxes = Some(Boxes::new(vec![[f32::NAN; 4], [0.0, 0.0, f32::NAN, 5.0]]));
        sample.points = Some(Points::new(vec![[f32::NAN, 1.0]]));
        Plan::from(SanitizeBoxes::default())
            .apply(&mut sample)
            .unwrap();
        Plan::from(SanitizePoints::default())
            .apply(&mut sample)
            .unwrap();
        assert!(sample.boxes.unwrap().rows.is_empty());
        assert!(sample.points.unwrap().rows.is_empty());
    }

    #[test]
    fn points_are_moved_to_the_edge() {
        let mut sample = sample();
        sample.points = Some(Points::new(vec![[-3.0, 4.0], [12.0, 20.0]]));
        Plan::from(SanitizePoints { clamp: true })
            .apply(&mut sample)
            .unwrap();
        assert_eq!(sample.points.unwrap().rows, [[0.0, 4.0], [9.0, 9.0]]);
    }
}
