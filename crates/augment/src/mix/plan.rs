//! What is mixed with what, and doing it.

use crate::kernel::Element;
use crate::{AugmentError, Image, Region, Sample, Size, Values};
use serde::{Deserialize, Serialize};

/// How two images are mixed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MixHow {
    /// Added, weighted.
    Blend,
    /// The rectangle of the partner is put into the image.
    Paste(Region),
}

/// What happens to one sample of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Index of the other sample.
    pub partner: usize,
    /// Weight of the sample itself, in `0..=1`; the partner has the rest.
    pub weight: f64,
    /// How the images are mixed.
    pub how: MixHow,
}

/// How the samples of a batch are mixed, with nothing left to chance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixPlan {
    /// One entry per sample that comes out.
    pub pairs: Vec<Mix>,
    /// Part of each label that is spread over all classes, in `[0, 1)`.
    pub label_smoothing: f64,
}

/// The rectangle of CutMix around a pixel `(x, y)`: `sqrt(1 - lambda)` times
/// as high and wide as the image, cut at its edge.
///
/// ```
/// use firecraft_augment::{Region, Size, cut_region};
/// let region = cut_region(Size::new(6, 8), (4, 2), 0.3);
/// assert_eq!((region.left, region.top), (1, 0));
/// assert_eq!(region.size, Size::new(4, 6));
/// ```
#[must_use]
pub fn cut_region(size: Size, (x, y): (usize, usize), lambda: f64) -> Region {
    let half = 0.5 * (1.0 - lambda).max(0.0).sqrt();
    let span = |centre: usize, n: usize| {
        let reach = (half * n as f64) as usize;
        let (low, high) = (centre.saturating_sub(reach), (centre + reach).min(n));
        (low.min(high), high - low.min(high))
    };
    let ((left, width), (top, height)) = (span(x, size.width), span(y, size.height));
    Region {
        top,
        left,
        size: Size::new(height, width),
    }
}

/// Labels as rows of `classes` numbers: `1 - smoothing + smoothing / classes`
/// for the class and `smoothing / classes` for the others.
///
/// ```
/// use firecraft_augment::one_hot;
/// assert_eq!(one_hot(&[1], 2, 0.0)?, [0.0, 1.0]);
/// assert_eq!(one_hot(&[1], 2, 0.5)?, [0.25, 0.75]);
/// assert!(one_hot(&[2], 2, 0.0).is_err());
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
///
/// # Errors
/// If a label is not below `classes`.
pub fn one_hot(labels: &[usize], classes: usize, smoothing: f64) -> Result<Vec<f32>, AugmentError> {
    let off = smoothing / classes.max(1) as f64;
    let mut rows = vec![off as f32; labels.len() * classes];
    for (i, &label) in labels.iter().enumerate() {
        if label >= classes {
            return Err(AugmentError::Image {
                operation: "one_hot",
                got: format!("the label {label}"),
                expected: format!("labels below {classes}"),
            });
        }
        rows[i * classes + label] = (1.0 - smoothing + off) as f32;
    }
    Ok(rows)
}

impl MixPlan {
    fn check(&self, operation: &'static str, samples: usize) -> Result<(), AugmentError> {
        let least = self.pairs.iter().map(|mix| mix.partner + 1).max();
        let least = least.unwrap_or(0).max(self.pairs.len());
        if samples >= least {
            return Ok(());
        }
        Err(AugmentError::Length {
            operation,
            got: samples,
            expected: least,
        })
    }

    /// Mixes a batch of numbers `[sample, channel, height, width]` in place.
    /// Where half of the batch is kept, the rest of the buffer is cut off.
    ///
    /// # Errors
    /// If the buffer doesn't hold the samples of the plan.
    pub fn apply(
        &self,
        images: &mut Vec<f32>,
        size: Size,
        channels: usize,
    ) -> Result<(), AugmentError> {
        let each = size.area() * channels;
        if each == 0 {
            return Ok(());
        }
        self.check("mixing: images", images.len() / each)?;
        let before = images.clone();
        images.truncate(self.pairs.len() * each);
        for (image, mix) in images.chunks_exact_mut(each).zip(&self.pairs) {
            let other = &before[mix.partner * each..(mix.partner + 1) * each];
            match mix.how {
                MixHow::Blend => blend(image, other, mix.weight as f32),
                MixHow::Paste(region) => {
                    let planes = image.chunks_exact_mut(size.area());
                    for (plane, other) in planes.zip(other.chunks_exact(size.area())) {
                        paste(plane, other, size.width, 1, region);
                    }
                }
            }
        }
        Ok(())
    }

    /// The labels of the mixed samples, from one row of classes per sample.
    /// Smoothing is applied to rows as they come: give one-hot rows.
    ///
    /// # Errors
    /// If `labels` doesn't hold whole rows, one per sample.
    pub fn labels(&self, labels: &[f32]) -> Result<Vec<f32>, AugmentError> {
        let samples = self.samples();
        if samples == 0 || !labels.len().is_multiple_of(samples) {
            return if labels.is_empty() || self.pairs.is_empty() {
                Ok(Vec::new())
            } else {
                Err(AugmentError::Length {
                    operation: "mixing: labels",
                    got: labels.len(),
                    expected: samples,
                })
            };
        }
        let classes = labels.len() / samples;
        let smooth = |v: f32| {
            let smoothing = self.label_smoothing;
            f64::from(v) * (1.0 - smoothing) + smoothing / classes as f64
        };
        let rows = self.pairs.iter().enumerate().flat_map(|(i, mix)| {
            let own = &labels[i * classes..(i + 1) * classes];
            let other = &labels[mix.partner * classes..(mix.partner + 1) * classes];
            own.iter().zip(other).map(move |(a, b)| {
                (mix.weight * smooth(*a) + (1.0 - mix.weight) * smooth(*b)) as f32
            })
        });
        Ok(rows.collect())
    }

    /// How many samples go in.
    fn samples(&self) -> usize {
        let partners = self.pairs.iter().map(|mix| mix.partner + 1).max();
        partners.unwrap_or(0).max(self.pairs.len())
    }

    /// Mixes samples with their labels. Masks are pasted with the images;
    /// boxes and key points can't be mixed.
    ///
    /// # Errors
    /// If sizes, channels or types differ, a label is missing, or a target
    /// can't be mixed.
    pub fn apply_samples(&self, samples: &mut Vec<Sample>) -> Result<(), AugmentError> {
        self.check("mixing: samples", samples.len())?;
        let before = samples.clone();
        samples.truncate(self.pairs.len());
        let classes = before.first().and_then(|s| s.labels.as_ref().map(Vec::len));
        let rows: Option<Vec<&Vec<f32>>> = before.iter().map(|s| s.labels.as_ref()).collect();
        let labels = match (rows, classes) {
            (Some(rows), Some(n)) if rows.iter().all(|row| row.len() == n) => Some((
                self.labels(&rows.into_iter().flatten().copied().collect::<Vec<_>>())?,
                n,
            )),
            (None, _) if before.iter().all(|s| s.labels.is_none()) => None,
            (None, None) => None,
            _ => {
                return Err(AugmentError::Image {
                    operation: "mixing",
                    got: "labels of different lengths, or missing".into(),
                    expected: "a row of classes in every sample, or in none".into(),
                });
            }
        };
        for (i, (sample, mix)) in samples.iter_mut().zip(&self.pairs).enumerate() {
            let other = &before[mix.partner];
            if sample.boxes.is_some() || sample.points.is_some() {
                return Err(AugmentError::Image {
                    operation: "mixing",
                    got: "boxes or key points".into(),
                    expected: "samples without them".into(),
                });
            }
            if !sample.masks.is_empty() && mix.how == MixHow::Blend && mix.weight != 1.0 {
                return Err(AugmentError::Image {
                    operation: "mixing",
                    got: "masks, and images to be added".into(),
                    expected: "samples without masks, or CutMix".into(),
                });
            }
            mix_images(&mut sample.image, &other.image, mix)?;
            if sample.masks.len() != other.masks.len() {
                return Err(unequal(format!("{} masks", other.masks.len())));
            }
            for (mask, other) in sample.masks.iter_mut().zip(&other.masks) {
                if mix.how != MixHow::Blend {
                    mix_images(mask, other, mix)?;
                }
            }
            if let Some((labels, classes)) = &labels {
                sample.labels = Some(labels[i * classes..(i + 1) * classes].to_vec());
            }
        }
        Ok(())
    }
}

fn unequal(got: String) -> AugmentError {
    AugmentError::Image {
        operation: "mixing",
        got,
        expected: "two samples of one size, type, number of channels and masks".into(),
    }
}

fn mix_images(image: &mut Image, other: &Image, mix: &Mix) -> Result<(), AugmentError> {
    let (size, channels) = (image.size(), image.channels());
    if (size, channels) != (other.size(), other.channels()) {
        let got = format!(
            "{size} and {}, {channels} and {} channels",
            other.size(),
            other.channels()
        );
        return Err(unequal(got));
    }
    match (image.values_mut(), other.values()) {
        (Values::U8(data), Values::U8(other)) => change(data, other, size, channels, mix),
        (Values::F32(data), Values::F32(other)) => change(data, other, size, channels, mix),
        _ => return Err(unequal("bytes and numbers".into())),
    }
    Ok(())
}

fn change<T: Element>(data: &mut [T], other: &[T], size: Size, channels: usize, mix: &Mix) {
    match mix.how {
        MixHow::Blend => blend(data, other, mix.weight as f32),
        MixHow::Paste(region) => paste(data, other, size.width, channels, region),
    }
}

fn blend<T: Element>(data: &mut [T], other: &[T], weight: f32) {
    if weight == 1.0 {
        return;
    }
    for (value, other) in data.iter_mut().zip(other) {
        *value = T::from_f32(weight * value.to_f32() + (1.0 - weight) * other.to_f32());
    }
}

fn paste<T: Copy>(data: &mut [T], other: &[T], width: usize, channels: usize, region: Region) {
    let line = width * channels;
    if line == 0 {
        return;
    }
    let left = region.left.min(width) * channels;
    let right = (region.left + region.size.width).min(width) * channels;
    let rows = data.chunks_exact_mut(line).zip(other.chunks_exact(line));
    for (row, other) in rows.skip(region.top).take(region.size.height) {
        row[left..right].copy_from_slice(&other[left..right]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swap(weight: f64, how: MixHow) -> MixPlan {
        let mix = |partner| Mix {
            partner,
            weight,
            how,
        };
        MixPlan {
            pairs: vec![mix(1), mix(0)],
            label_smoothing: 0.0,
        }
    }

    fn sample(value: u8, class: usize) -> Sample {
        let mut sample = Sample::new(Image::from_u8(vec![value; 12], Size::new(2, 2), 3).unwrap());
        sample.masks = vec![Image::from_u8(vec![class as u8; 4], Size::new(2, 2), 1).unwrap()];
        sample.labels = Some(one_hot(&[class], 2, 0.0).unwrap());
        sample
    }

    #[test]
    fn samples_are_mixed_with_labels_and_masks() {
        let region = Region {
            top: 0,
            left: 1,
            size: Size::new(1, 1),
        };
        let mut batch = vec![sample(0, 0), sample(100, 1)];
        swap(0.75, MixHow::Paste(region))
            .apply_samples(&mut batch)
            .unwrap();
        assert_eq!(
            batch[0].image.as_u8().unwrap()[..6],
            [0, 0, 0, 100, 100, 100]
        );
        assert_eq!(batch[0].masks[0].as_u8().unwrap(), [0, 1, 0, 0]);
        assert_eq!(batch[0].labels.as_deref(), Some(&[0.75, 0.25][..]));
        batch.iter_mut().for_each(|s| s.masks.clear());
        let mut blended = vec![batch[1].clone(), batch[1].clone()];
        swap(0.5, MixHow::Blend)
            .apply_samples(&mut blended)
            .unwrap();
        assert_eq!(blended[0], batch[1]);
    }

    #[test]
    fn what_cannot_be_mixed_is_refused() {
        let blend = swap(0.5, MixHow::Blend);
        let mut masks = vec![sample(0, 0), sample(1, 1)];
        assert!(blend.apply_samples(&mut masks).is_err());
        let mut sizes = vec![sample(0, 0), sample(1, 1)];
        sizes[1].image = Image::from_u8(vec![0; 3], Size::new(1, 1), 3).unwrap();
        sizes.iter_mut().for_each(|s| s.masks.clear());
        assert!(blend.apply_samples(&mut sizes).is_err());
        let mut labels = vec![sample(0, 0), sample(1, 1)];
        labels.iter_mut().for_each(|s| s.masks.clear());
        labels[1].labels = None;
        assert!(blend.apply_samples(&mut labels).is_err());
        let mut one = vec![sample(0, 0)];
        assert!(blend.apply_samples(&mut one).is_err());
        assert!(blend.apply(&mut vec![0.0; 4], Size::new(2, 2), 1).is_err());
        assert!(blend.labels(&[1.0; 3]).is_err());
    }

    #[test]
    fn json_comes_back() {
        let plan = swap(0.5, MixHow::Blend);
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<MixPlan>(&json).unwrap(), plan);
    }
}
