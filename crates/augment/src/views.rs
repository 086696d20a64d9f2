//! Several views of one sample: five and ten crops, and test-time
//! augmentation.

use crate::ops::check_size;
use crate::{
    AugmentError, CenterCrop, Crop, Image, Matrix, OddRest, Plan, Sample, SampleMeta, Size,
    Transform, Warp,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Fixed views of a sample, to average predictions over.
///
/// A view is a [`Plan`]: apply it, predict, and join the predictions with
/// [`merge_scores`] or, for maps, [`Views::merge_maps`], which moves each back
/// first.
///
/// ```
/// use firecraft_augment::{Image, Sample, Size, Views, merge_scores, Merge};
/// let sample = Sample::new(Image::from_f32(vec![0.1, 0.9], Size::new(1, 2), 1)?);
/// let views = Views::Flip.of(&sample)?;
/// // A model that looks at the first pixel only.
/// let scores: Vec<Vec<f32>> = views.iter().map(|v| vec![v.image.as_f32().unwrap()[0]]).collect();
/// assert_eq!(merge_scores(&scores, Merge::Mean)?, [0.5]);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Views {
    /// The image alone.
    Identity,
    /// The image and its mirror image.
    Flip,
    /// The image, turned by quarters and mirrored: eight views.
    Dihedral,
    /// The four corners and the middle: torchvision's `FiveCrop`.
    FiveCrop(Size),
    /// The five crops and their mirror images, top to bottom if `vertical`:
    /// torchvision's `TenCrop`.
    TenCrop {
        /// Height and width of the crops.
        size: Size,
        /// Whether the mirror images are upside down.
        vertical: bool,
    },
    /// Any plans.
    Plans(Vec<Plan>),
}

/// How predictions are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// The mean.
    #[default]
    Mean,
    /// The largest.
    Max,
    /// The geometric mean, for probabilities.
    GeometricMean,
}

impl Views {
    /// The plans of the views for an image of that size.
    ///
    /// ```
    /// use firecraft_augment::{SampleMeta, Size, Views};
    /// let meta = SampleMeta { size: Size::new(10, 20), channels: 3 };
    /// let plans = Views::FiveCrop(Size::new(4, 4)).plans(&meta)?;
    /// assert_eq!(plans.len(), 5);
    /// assert_eq!(plans[3].map_point(19.0, 9.0), Some((3.0, 3.0)), "the last is bottom right");
    /// # Ok::<(), firecraft_augment::AugmentError>(())
    /// ```
    ///
    /// # Errors
    /// If a crop is larger than the image.
    pub fn plans(&self, meta: &SampleMeta) -> Result<Vec<Plan>, AugmentError> {
        let size = meta.size;
        let flip = || Plan::from(Warp::exact(Matrix::horizontal_flip(size), size));
        Ok(match self {
            Self::Identity => vec![Plan::identity()],
            Self::Flip => vec![Plan::identity(), flip()],
            Self::Dihedral => dihedral(size),
            Self::FiveCrop(crop) => five(meta, *crop)?,
            Self::TenCrop {
                size: crop,
                vertical,
            } => {
                let matrix = if *vertical {
                    Matrix::vertical_flip(size)
                } else {
                    Matrix::horizontal_flip(size)
                };
                let five = five(meta, *crop)?;
                let mirrored = five.iter().map(|crop| {
                    let mut plan = Plan::from(Warp::exact(matrix, size));
                    plan.extend(crop.clone());
                    plan.fused(size)
                });
                five.iter().cloned().chain(mirrored).collect()
            }
            Self::Plans(plans) => plans.clone(),
        })
    }

    /// The views of a sample.
    ///
    /// # Errors
    /// As [`Views::plans`] and [`Plan::apply`].
    pub fn of(&self, sample: &Sample) -> Result<Vec<Sample>, AugmentError> {
        let plans = self.plans(&sample.meta())?;
        let view = |plan: &Plan| {
            let mut view = sample.clone();
            plan.apply(&mut view)?;
            Ok(view)
        };
        plans.iter().map(view).collect()
    }

    /// Joins maps that were predicted from the views of an image, such as
    /// masks of probabilities: each is moved back, and every pixel is the mean
    /// over the views that show it (0 where none does).
    ///
    /// ```
    /// use firecraft_augment::{Image, SampleMeta, Size, Views};
    /// let size = Size::new(1, 2);
    /// let meta = SampleMeta { size, channels: 1 };
    /// let map = |values: [f32; 2]| Image::from_f32(values.to_vec(), size, 1).unwrap();
    /// let joined = Views::Flip.merge_maps(&meta, &[map([0.0, 1.0]), map([0.5, 0.0])])?;
    /// assert_eq!(joined.as_f32(), Some(&[0.0, 0.75][..]));
    /// # Ok::<(), firecraft_augment::AugmentError>(())
    /// ```
    ///
    /// # Errors
    /// If there isn't one map of numbers per view, of its size, or a view can't
    /// be undone.
    pub fn merge_maps(&self, meta: &SampleMeta, maps: &[Image]) -> Result<Image, AugmentError> {
        let plans = self.plans(meta)?;
        let channels = maps.first().map_or(0, Image::channels);
        if maps.len() != plans.len() || channels == 0 {
            return Err(AugmentError::Length {
                operation: "merge_maps: maps",
                got: maps.len(),
                expected: plans.len(),
            });
        }
        let mut sum = vec![0.0_f32; meta.size.area() * channels];
        let mut seen = vec![0.0_f32; meta.size.area()];
        for (map, plan) in maps.iter().zip(&plans) {
            let size = plan.output(meta.size);
            if (map.size(), map.channels()) != (size, channels) || map.as_f32().is_none() {
                return Err(AugmentError::BatchSize {
                    operation: "merge_maps",
                    got: map.size(),
                    expected: size,
                });
            }
            let back = plan.inverse(meta.size)?;
            let moved = |image: Image| {
                let mut sample = Sample::new(image);
                back.apply(&mut sample)?;
                Ok::<_, AugmentError>(sample.image)
            };
            let here = Image::from_f32(vec![1.0; size.area()], size, 1)?;
            let (map, here) = (moved(map.clone())?, moved(here)?);
            let values = map.as_f32().unwrap_or_default().iter();
            sum.iter_mut().zip(values).for_each(|(s, v)| *s += v);
            let here = here.as_f32().unwrap_or_default().iter();
            seen.iter_mut().zip(here).for_each(|(s, v)| *s += v);
        }
        for (pixel, seen) in sum.chunks_exact_mut(channels).zip(seen) {
            if seen > 0.0 {
                pixel.iter_mut().for_each(|v| *v /= seen);
            }
        }
        Image::from_f32(sum, meta.size, channels)
    }
}

/// Joins predictions, one row of scores per view.
///
/// # Errors
/// If there are no views, or rows of different lengths.
pub fn merge_scores(scores: &[Vec<f32>], merge: Merge) -> Result<Vec<f32>, AugmentError> {
    let length = scores.first().map_or(0, Vec::len);
    if let Some(other) = scores
        .iter()
        .map(Vec::len)
        .find(|n| *n != length || *n == 0)
    {
        return Err(AugmentError::Length {
            operation: "merge_scores",
            got: other,
            expected: length.max(1),
        });
    }
    if scores.is_empty() {
        return Err(AugmentError::Length {
            operation: "merge_scores: views",
            got: 0,
            expected: 1,
        });
    }
    let n = scores.len() as f32;
    let column = |i: usize| scores.iter().map(move |row| row[i]);
    Ok((0..length)
        .map(|i| match merge {
            Merge::Mean => column(i).sum::<f32>() / n,
            Merge::Max => column(i).fold(f32::NEG_INFINITY, f32::max),
            Merge::GeometricMean => (column(i).map(|v| v.max(1e-12).ln()).sum::<f32>() / n).exp(),
        })
        .collect())
}

fn five(meta: &SampleMeta, crop: Size) -> Result<Vec<Plan>, AugmentError> {
    check_size("five_crop", "size", crop)?;
    let Size { height, width } = meta.size;
    if crop.height > height || crop.width > width {
        return Err(AugmentError::Image {
            operation: "five_crop",
            got: format!("an image of {}", meta.size),
            expected: format!("at least {crop}"),
        });
    }
    let (down, across) = ((height - crop.height) as i64, (width - crop.width) as i64);
    let mut plans: Vec<Plan> = [(0, 0), (0, across), (down, 0), (down, across)]
        .map(|(top, left)| Crop::new(top, left, crop).warp().into())
        .into();
    let middle = CenterCrop::new(crop).with_odd_rest(OddRest::Even);
    plans.push(middle.plan(meta, Key::from_words([0, 0]))?);
    Ok(plans)
}

/// The identity first; turned by quarters, then mirrored and turned.
fn dihedral(size: Size) -> Vec<Plan> {
    let turned = Size::new(size.width, size.height);
    let (flip, upside) = (Matrix::horizontal_flip(size), Matrix::vertical_flip(size));
    let transpose = Matrix::transpose();
    [
        (Matrix::IDENTITY, size),
        (flip, size),
        (upside, size),
        (flip.compose(upside), size),
        (transpose, turned),
        (flip.compose(transpose), turned),
        (upside.compose(transpose), turned),
        (flip.compose(upside).compose(transpose), turned),
    ]
    .map(|(matrix, size)| Plan::from(Warp::exact(matrix, size)))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn sample(size: Size) -> Sample {
        let image = Image::from_f32((0..size.area()).map(|i| i as f32).collect(), size, 1);
        Sample::new(image.unwrap())
    }

    #[test]
    fn eight_views_are_different_and_come_back() {
        let size = Size::new(3, 5);
        let sample = sample(size);
        let plans = Views::Dihedral.plans(&sample.meta()).unwrap();
        let views = Views::Dihedral.of(&sample).unwrap();
        let distinct: BTreeSet<String> = views.iter().map(|v| format!("{:?}", v.image)).collect();
        assert_eq!(distinct.len(), 8);
        for (plan, mut view) in plans.iter().zip(views) {
            plan.inverse(size).unwrap().apply(&mut view).unwrap();
            assert_eq!(view.image, sample.image);
        }
    }

    #[test]
    fn ten_crops_are_five_and_their_mirror_images() {
        let sample = sample(Size::new(6, 7));
        let crop = Size::new(2, 3);
        let five = Views::FiveCrop(crop).of(&sample).unwrap();
        let ten = Views::TenCrop {
            size: crop,
            vertical: false,
        };
        let ten = ten.of(&sample).unwrap();
        assert_eq!(ten[..5], five[..]);
        // The top left of the mirror image is the top right, mirrored.
        assert_eq!(
            ten[5].image.as_f32().unwrap(),
            [6.0, 5.0, 4.0, 13.0, 12.0, 11.0]
        );
        assert!(Views::FiveCrop(Size::new(7, 7)).of(&sample).is_err());
    }

    #[test]
    fn maps_are_averaged_where_they_were_seen() {
        let size = Size::new(4, 4);
        let meta = SampleMeta { size, channels: 3 };
        let views = Views::FiveCrop(Size::new(3, 3));
        let maps: Vec<Image> = (0..5)
            .map(|_| Image::from_f32(vec![0.5; 18], Size::new(3, 3), 2).unwrap())
            .collect();
        let joined = views.merge_maps(&meta, &maps).unwrap();
        assert!(
            joined
                .as_f32()
                .unwrap()
                .iter()
                .all(|v| (v - 0.5).abs() < 1e-6)
        );
        assert!(views.merge_maps(&meta, &maps[..4]).is_err());
    }

    #[test]
    fn scores_are_joined() {
        let scores = [vec![0.1, 0.9], vec![0.4, 0.4]];
        assert_eq!(merge_scores(&scores, Merge::Max).unwrap(), [0.4, 0.9]);
        let mean = merge_scores(&scores, Merge::GeometricMean).unwrap();
        assert!((mean[0] - 0.2).abs() < 1e-6 && (mean[1] - 0.6).abs() < 1e-6);
        assert!(merge_scores(&[], Merge::Mean).is_err());
        assert!(merge_scores(&[vec![1.0], vec![]], Merge::Mean).is_err());
    }
}
