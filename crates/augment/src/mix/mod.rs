//! Mixing samples of a batch: MixUp and CutMix, with their labels.
//!
//! Mixing is planned like everything else: [`Mixing::plan`] draws a
//! [`MixPlan`] from a key, which then changes images and labels, on the host
//! or as tensors.

mod distributions;
mod plan;

pub(crate) use distributions::{dirichlet, gamma};
pub use plan::{Mix, MixHow, MixPlan, cut_region, one_hot};

use crate::geometry::settle;
use crate::ops::check_probability;
use crate::{AugmentError, Size};
use distributions::beta;
use firecraft_key::{Key, Rng};
use serde::{Deserialize, Serialize};

/// With whom a sample is mixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Partner {
    /// The sample before, the first with the last: torchvision.
    #[default]
    Roll,
    /// The sample as far from the other end: timm.
    Flip,
    /// Anyone, by a random permutation: Keras.
    Shuffle,
}

/// For how many samples one draw holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MixMode {
    /// For the whole batch.
    #[default]
    Batch,
    /// For a sample and its partner; takes [`Partner::Flip`].
    Pair,
    /// For each sample by itself.
    Element,
    /// For each by itself, but only the first half of the batch is kept, mixed
    /// with the second: timm's `half`, at half the batch size. Takes
    /// [`Partner::Flip`].
    Half,
}

/// MixUp, CutMix, or one of the two: torchvision's `MixUp` and `CutMix`,
/// timm's `Mixup`, Keras' `MixUp` and `CutMix`.
///
/// MixUp adds images, weighted (Zhang et al., 2018); CutMix puts a rectangle
/// of one into the other (Yun et al., 2019). Labels are mixed by the same
/// weight `λ ~ Beta(α, α)`; for CutMix, it is corrected to the area that is
/// really shown.
///
/// ```
/// use firecraft_augment::{Mixing, Size, one_hot};
/// use firecraft_key::Key;
/// let size = Size::new(2, 2);
/// let mut images = [[0.0_f32; 4], [1.0; 4], [2.0; 4]].concat();
/// let labels = one_hot(&[0, 1, 2], 3, 0.0)?;
/// let plan = Mixing::mixup(1.0).plan(3, size, Key::from_seed(0))?;
/// plan.apply(&mut images, size, 1)?;
/// let labels = plan.labels(&labels)?;
/// let weight = plan.pairs[1].weight as f32;
/// assert_eq!(images[4], weight * 1.0);
/// assert!((labels[3] - (1.0 - weight)).abs() < 1e-6 && (labels[4] - weight).abs() < 1e-6);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mixing {
    /// `α` of MixUp, in `[0, 1000]`; 0 leaves it out.
    pub mixup_alpha: f64,
    /// `α` of CutMix, in `[0, 1000]`; 0 leaves it out.
    pub cutmix_alpha: f64,
    /// The sides of the rectangle over those of the image, drawn from this
    /// range instead of from `λ`, inside `[0, 1]`: timm's `cutmix_minmax`.
    pub cutmix_minmax: Option<(f64, f64)>,
    /// Whether the rectangle is wholly inside, as in Keras; else its centre
    /// is, and it is cut at the edge.
    pub inside: bool,
    /// Probability that a draw mixes at all, in `0..=1`.
    pub prob: f64,
    /// Probability of CutMix where both are in, in `0..=1`.
    pub switch_prob: f64,
    /// For how many samples one draw holds.
    pub mode: MixMode,
    /// With whom a sample is mixed.
    pub partner: Partner,
    /// Part of each label that is spread over all classes, in `[0, 1)`.
    pub label_smoothing: f64,
}

impl Default for Mixing {
    fn default() -> Self {
        Self {
            mixup_alpha: 0.0,
            cutmix_alpha: 0.0,
            cutmix_minmax: None,
            inside: false,
            prob: 1.0,
            switch_prob: 0.5,
            mode: MixMode::Batch,
            partner: Partner::Roll,
            label_smoothing: 0.0,
        }
    }
}

impl Mixing {
    /// torchvision's `MixUp`: one weight per batch, each with the one before.
    #[must_use]
    pub fn mixup(alpha: f64) -> Self {
        Self {
            mixup_alpha: alpha,
            ..Self::default()
        }
    }

    /// torchvision's `CutMix`: one rectangle per batch.
    #[must_use]
    pub fn cutmix(alpha: f64) -> Self {
        Self {
            cutmix_alpha: alpha,
            ..Self::default()
        }
    }

    /// timm's `Mixup` with its defaults: MixUp or CutMix, in that mode.
    #[must_use]
    pub fn timm(mixup_alpha: f64, cutmix_alpha: f64, mode: MixMode) -> Self {
        Self {
            mixup_alpha,
            cutmix_alpha,
            mode,
            partner: Partner::Flip,
            label_smoothing: 0.1,
            ..Self::default()
        }
    }

    /// Keras' `MixUp`: a weight per sample, a random partner.
    #[must_use]
    pub fn keras_mixup(alpha: f64) -> Self {
        Self {
            mode: MixMode::Element,
            partner: Partner::Shuffle,
            ..Self::mixup(alpha)
        }
    }

    /// Keras' `CutMix`: a rectangle per sample, wholly inside, of a random
    /// partner. The weight is that of the pixels shown; Keras takes the area
    /// before it is rounded to pixels.
    #[must_use]
    pub fn keras_cutmix(alpha: f64) -> Self {
        Self {
            mode: MixMode::Element,
            partner: Partner::Shuffle,
            inside: true,
            ..Self::cutmix(alpha)
        }
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// [`AugmentError::Parameter`] for the first field out of its range.
    pub fn validate(&self) -> Result<(), AugmentError> {
        check_probability(NAME, self.prob)?;
        let wrong =
            |field, got: String, expected| Err(AugmentError::parameter(NAME, field, got, expected));
        for (field, alpha) in [
            ("mixup_alpha", self.mixup_alpha),
            ("cutmix_alpha", self.cutmix_alpha),
        ] {
            if alpha != 0.0 && !(1e-3..=1e3).contains(&alpha) {
                return wrong(field, alpha.to_string(), "0 or a number in [1e-3, 1000]");
            }
        }
        if !(0.0..=1.0).contains(&self.switch_prob) {
            let got = self.switch_prob.to_string();
            return wrong("switch_prob", got, "a probability in [0, 1]");
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            let got = self.label_smoothing.to_string();
            return wrong("label_smoothing", got, "a number in [0, 1)");
        }
        if let Some((low, high)) = self.cutmix_minmax
            && !(0.0 <= low && low <= high && high <= 1.0)
        {
            let got = format!("({low}, {high})");
            return wrong("cutmix_minmax", got, "an ordered pair in [0, 1]");
        }
        let pairs = matches!(self.mode, MixMode::Pair | MixMode::Half);
        if pairs && self.partner != Partner::Flip {
            let got = format!("{:?}", self.partner);
            return wrong("partner", got, "`flip`, for the modes `pair` and `half`");
        }
        Ok(())
    }

    /// Draws how the samples of a batch are mixed.
    ///
    /// # Errors
    /// If the configuration is not valid, or a batch of an odd size is to be
    /// halved.
    pub fn plan(&self, batch: usize, size: Size, key: Key) -> Result<MixPlan, AugmentError> {
        self.validate()?;
        let halved = self.mode == MixMode::Half;
        if halved && batch % 2 == 1 {
            return Err(AugmentError::Length {
                operation: "mixing: half",
                got: batch,
                expected: batch + 1,
            });
        }
        let mut rng = key.rng();
        let mut order: Vec<usize> = (0..batch).collect();
        if self.partner == Partner::Shuffle {
            rng.shuffle(&mut order);
        }
        let one = self.draw(size, &mut rng);
        let pairs = (0..if halved { batch / 2 } else { batch })
            .map(|i| {
                let partner = match self.partner {
                    Partner::Roll => (i + batch - 1) % batch,
                    Partner::Flip => batch - 1 - i,
                    Partner::Shuffle => order[i],
                };
                // A draw belongs to a sample, or to the first of a pair.
                let owner = match self.mode {
                    MixMode::Batch => None,
                    MixMode::Element | MixMode::Half => Some(i),
                    MixMode::Pair => Some(i.min(partner)),
                };
                let (weight, how) = owner.map_or(one, |owner| {
                    self.draw(size, &mut key.fold(owner as u64).rng())
                });
                Mix {
                    partner,
                    weight,
                    how,
                }
            })
            .collect();
        Ok(MixPlan {
            pairs,
            label_smoothing: self.label_smoothing,
        })
    }

    fn draw(&self, size: Size, rng: &mut Rng) -> (f64, MixHow) {
        let acts = rng.chance(self.prob);
        let switches = rng.chance(self.switch_prob);
        let cuts = self.cutmix_alpha > 0.0 && (self.mixup_alpha == 0.0 || switches);
        let alpha = if cuts {
            self.cutmix_alpha
        } else {
            self.mixup_alpha
        };
        if !acts || alpha == 0.0 || size.area() == 0 {
            return (1.0, MixHow::Blend);
        }
        let lambda = settle(beta(alpha, rng));
        if !cuts {
            return (lambda, MixHow::Blend);
        }
        let region = self.region(size, lambda, rng);
        let shown = region.size.area() as f64 / size.area() as f64;
        (settle(1.0 - shown), MixHow::Paste(region))
    }

    fn region(&self, size: Size, lambda: f64, rng: &mut Rng) -> crate::Region {
        let ratio = (1.0 - lambda).max(0.0).sqrt();
        let mut side = |n: usize| {
            let part = match self.cutmix_minmax {
                Some((low, high)) => rng.range(low, high),
                None => ratio,
            };
            (n as f64 * part) as usize
        };
        let (height, width) = (side(size.height), side(size.width));
        if self.inside || self.cutmix_minmax.is_some() {
            return crate::Region {
                top: rng.below((size.height - height) as u64 + 1) as usize,
                left: rng.below((size.width - width) as u64 + 1) as usize,
                size: Size::new(height, width),
            };
        }
        let x = rng.below(size.width as u64) as usize;
        let y = rng.below(size.height as u64) as usize;
        cut_region(size, (x, y), lambda)
    }
}

const NAME: &str = "mixing";

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(12, 20);

    fn plan(mixing: &Mixing, batch: usize, seed: u64) -> MixPlan {
        mixing.plan(batch, SIZE, Key::from_seed(seed)).unwrap()
    }

    #[test]
    fn modes_share_their_draws_as_they_say() {
        let weights = |mode| -> Vec<u64> {
            let plan = plan(&Mixing::timm(0.8, 0.0, mode), 6, 3);
            plan.pairs.iter().map(|mix| mix.weight.to_bits()).collect()
        };
        let batch = weights(MixMode::Batch);
        assert!(batch.iter().all(|w| *w == batch[0]));
        let pair = weights(MixMode::Pair);
        assert!((0..6).all(|i| pair[i] == pair[5 - i]));
        assert!(pair[0] != pair[1] && pair[1] != pair[2]);
        let element = weights(MixMode::Element);
        assert!(element[0] != element[5]);
        assert_eq!(weights(MixMode::Half).len(), 3);
    }

    #[test]
    fn partners_are_whose_they_say() {
        let partners = |partner| -> Vec<usize> {
            let mixing = Mixing {
                partner,
                ..Mixing::mixup(1.0)
            };
            plan(&mixing, 4, 0)
                .pairs
                .iter()
                .map(|mix| mix.partner)
                .collect()
        };
        assert_eq!(partners(Partner::Roll), [3, 0, 1, 2]);
        assert_eq!(partners(Partner::Flip), [3, 2, 1, 0]);
        let mut shuffled = partners(Partner::Shuffle);
        shuffled.sort_unstable();
        assert_eq!(shuffled, [0, 1, 2, 3]);
    }

    #[test]
    fn weights_are_the_area_that_is_shown() {
        for seed in 0..100 {
            for mixing in [Mixing::cutmix(1.0), Mixing::keras_cutmix(0.5)] {
                for mix in plan(&mixing, 3, seed).pairs {
                    let MixHow::Paste(region) = mix.how else {
                        panic!("{mix:?}")
                    };
                    assert!(region.top + region.size.height <= SIZE.height);
                    assert!(region.left + region.size.width <= SIZE.width);
                    let shown = region.size.area() as f64 / SIZE.area() as f64;
                    assert!((mix.weight + shown - 1.0).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn both_are_switched_between_and_prob_is_kept() {
        let mixing = Mixing {
            prob: 0.5,
            ..Mixing::timm(0.8, 1.0, MixMode::Element)
        };
        let pairs = plan(&mixing, 2000, 1).pairs;
        let still = pairs.iter().filter(|mix| mix.weight == 1.0).count();
        let cut = pairs
            .iter()
            .filter(|mix| matches!(mix.how, MixHow::Paste(_)))
            .count();
        // Five standard deviations; a few rectangles are empty.
        assert!(still.abs_diff(1000) < 130, "{still}");
        assert!(cut.abs_diff(500) < 97, "{cut}");
    }

    #[test]
    fn impossible_configurations_are_refused() {
        let wrong = |change: fn(&mut Mixing)| {
            let mut mixing = Mixing::mixup(0.2);
            change(&mut mixing);
            mixing.validate().is_err()
        };
        assert!(wrong(|m| m.mixup_alpha = -1.0));
        assert!(wrong(|m| m.prob = 1.5));
        assert!(wrong(|m| m.label_smoothing = 1.0));
        assert!(wrong(|m| m.cutmix_minmax = Some((0.5, 0.2))));
        assert!(wrong(|m| m.mode = MixMode::Half));
        let half = Mixing::timm(0.8, 0.0, MixMode::Half);
        assert!(half.plan(3, SIZE, Key::from_seed(0)).is_err());
        assert!(
            half.plan(0, SIZE, Key::from_seed(0))
                .unwrap()
                .pairs
                .is_empty()
        );
    }
}
