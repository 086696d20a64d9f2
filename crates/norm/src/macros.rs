//! The methods that every configuration and every layer has.

/// Builder methods that set one field each:
/// `setters!(Config { /// Docs. with_field(field: Type); });`
macro_rules! setters {
    ($Config:ident { $($(#[$doc:meta])* $with:ident($field:ident: $type:ty);)* }) => {
        impl $Config {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $with(mut self, $field: $type) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}

/// `Config::init`, which panics where `Config::try_init` has an error.
macro_rules! init_in_burns_manner {
    ($Config:ident => $Layer:ident) => {
        impl $Config {
            /// The layer on a device, in burn's manner.
            ///
            /// # Panics
            /// With the message of [`try_init`](Self::try_init)'s error.
            #[must_use]
            #[track_caller]
            pub fn init(&self, device: &burn::tensor::Device) -> $Layer {
                $crate::error::or_panic(self.try_init(device))
            }
        }
    };
}

/// `Layer::forward`, which panics where `Layer::try_forward` has an error, and
/// `Layer::config`.
macro_rules! forward_in_burns_manner {
    ($Layer:ident, $Config:ident) => {
        impl $Layer {
            /// Applies the layer to `x`; the output has the same shape.
            ///
            /// # Panics
            /// With the message of [`try_forward`](Self::try_forward)'s error.
            #[must_use]
            #[track_caller]
            pub fn forward<const D: usize>(
                &self,
                x: burn::tensor::Tensor<D>,
            ) -> burn::tensor::Tensor<D> {
                $crate::error::or_panic(self.try_forward(x))
            }

            /// The configuration that the layer was made from.
            #[must_use]
            pub fn config(&self) -> &$Config {
                &self.config
            }
        }
    };
}
