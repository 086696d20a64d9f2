//! What transforms with one random number have in common.

/// A transform that draws one number from its `factor` and plans with it.
///
/// A single number whose mirror image is out of bounds means the range from
/// the lower bound on, as in Keras.
macro_rules! random_factor {
    (
        $(#[$doc:meta])*
        $type:ident, $name:literal, $bounds:expr, $expected:literal, $plan:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $type {
            /// The range the number is drawn from.
            pub factor: $crate::Factor,
        }

        impl $type {
            /// Draws from that range.
            #[must_use]
            pub fn new(factor: impl Into<$crate::Factor>) -> Self {
                Self {
                    factor: factor.into(),
                }
            }

            fn range(&self) -> $crate::Factor {
                let bounds: std::ops::RangeInclusive<f64> = $bounds;
                self.factor.cut_below(*bounds.start())
            }
        }

        impl $crate::Transform for $type {
            $crate::ops::plain_layer!($name);

            fn validate(&self) -> Result<(), $crate::AugmentError> {
                self.range().check($name, "factor", $bounds, $expected)
            }

            fn plan(
                &self,
                _meta: &$crate::SampleMeta,
                key: firecraft_key::Key,
            ) -> Result<$crate::Plan, $crate::AugmentError> {
                $crate::Transform::validate(self)?;
                let plan: fn(f64) -> $crate::Plan = $plan;
                Ok(plan(self.range().draw(&mut key.rng())))
            }
        }

        impl $crate::LayerTransform for $type {}
    };
}
pub(crate) use random_factor;
