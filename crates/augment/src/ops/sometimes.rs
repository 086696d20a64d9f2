//! torchvision's transforms with a probability and nothing else to draw.

use super::{check_probability, half, plain_layer};
use crate::{
    AugmentError, AutoContrast, Equalize, Grayscale, Invert, LayerTransform, Plan, Posterize,
    SampleMeta, Sharpness, Solarize, Transform,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// A transform that does one step with probability `p`.
macro_rules! sometimes {
    (
        $(#[$doc:meta])*
        $type:ident, $name:literal,
        { $($(#[$field_doc:meta])* $field:ident: $of:ty,)* },
        |$this:ident| $step:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $type {
            $($(#[$field_doc])* pub $field: $of,)*
            /// Probability, in `0..=1`; 1/2 by default.
            #[serde(default = "half")]
            pub p: f64,
        }

        impl $type {
            /// Acts with probability `p`.
            #[must_use]
            pub const fn new($($field: $of,)* p: f64) -> Self {
                Self { $($field,)* p }
            }
        }

        impl Transform for $type {
            plain_layer!($name);

            fn validate(&self) -> Result<(), AugmentError> {
                check_probability($name, self.p)?;
                let $this = self;
                Transform::validate(&$step)
            }

            fn plan(&self, _meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
                self.validate()?;
                let $this = self;
                Ok(if key.rng().chance(self.p) {
                    $step.into()
                } else {
                    Plan::identity()
                })
            }
        }

        impl LayerTransform for $type {}
    };
}

sometimes!(
    /// Grey with probability `p`: torchvision's and Keras' `RandomGrayscale`.
    ///
    /// ```
    /// use firecraft_augment::{RandomGrayscale, Transform};
    /// assert!(RandomGrayscale::new(0.1).validate().is_ok());
    /// assert!(RandomGrayscale::new(1.5).validate().is_err());
    /// ```
    RandomGrayscale, "random_grayscale", {}, |_this| Grayscale::new()
);

sometimes!(
    /// The negative with probability `p`: torchvision's and Keras'
    /// `RandomInvert`.
    RandomInvert, "random_invert", {}, |_this| Invert::new()
);

sometimes!(
    /// [`Equalize`] with probability `p`: torchvision's `RandomEqualize`.
    RandomEqualize, "random_equalize", {}, |_this| Equalize::new()
);

sometimes!(
    /// [`AutoContrast`] with probability `p`: torchvision's
    /// `RandomAutocontrast`.
    RandomAutoContrast, "random_auto_contrast", {}, |_this| AutoContrast::new()
);

sometimes!(
    /// [`Posterize`] with probability `p`: torchvision's `RandomPosterize`.
    RandomPosterize, "random_posterize",
    {
        /// Bits that are kept, in `0..=8`.
        bits: u8,
    },
    |this| Posterize::new(this.bits)
);

sometimes!(
    /// [`Solarize`] with probability `p`: torchvision's `RandomSolarize`.
    RandomSolarize, "random_solarize",
    {
        /// The lowest value that is inverted, in `0..=256` with 255 for white.
        threshold: f32,
    },
    |this| Solarize::new(this.threshold)
);

sometimes!(
    /// [`Sharpness`] with probability `p`: torchvision's
    /// `RandomAdjustSharpness`.
    RandomAdjustSharpness, "random_adjust_sharpness",
    {
        /// 0 is soft, 1 changes nothing, more sharpens; not negative.
        factor: f32,
    },
    |this| Sharpness::new(this.factor)
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::plan;

    #[test]
    fn the_probability_is_kept() {
        let acts = |transform: &dyn Transform, seed| {
            let meta = crate::ops::testing::meta(crate::ops::testing::SIZE);
            let plan = transform.plan(&meta, Key::from_seed(seed)).unwrap();
            usize::from(!plan.steps.is_empty())
        };
        let n: usize = (0..1000)
            .map(|seed| acts(&RandomInvert::new(0.3), seed))
            .sum();
        assert!(n.abs_diff(300) < 73, "{n}");
        assert_eq!(plan(&RandomGrayscale::new(0.0), 1), Plan::identity());
        assert_eq!(
            plan(&RandomPosterize::new(3, 1.0), 1),
            Posterize::new(3).into()
        );
    }

    #[test]
    fn what_is_done_is_checked_too() {
        assert!(RandomPosterize::new(9, 0.5).validate().is_err());
        assert!(RandomSolarize::new(300.0, 0.5).validate().is_err());
        assert!(RandomAdjustSharpness::new(-1.0, 0.5).validate().is_err());
        assert!(RandomEqualize::new(-0.5).validate().is_err());
        assert!(RandomAutoContrast::new(f64::NAN).validate().is_err());
    }
}
