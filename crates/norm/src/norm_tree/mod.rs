//! The normalisations of a whole model, where they can be replaced.
//!
//! burn's mappers see parameters, not modules: they can't take a layer out. A
//! model lists its normalisations by [`norm_tree!`](crate::norm_tree), and
//! the tools of this crate then rewrite it: [`fold_norms`](crate::fold_norms),
//! [`replace_batch_norms`](crate::replace_batch_norms).

use burn::module::Module;

use crate::{BatchNorm, Fold, Identity, Norm, NormError};

/// The path of the field that a visit has come to, as in `blocks.0.norm1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(Vec<String>);

impl Place {
    /// The dotted path; empty at the root.
    #[must_use]
    pub fn path(&self) -> String {
        self.0.join(".")
    }

    /// Runs `visit` one step further down.
    pub fn enter<T>(&mut self, name: impl Into<String>, visit: impl FnOnce(&mut Self) -> T) -> T {
        self.0.push(name.into());
        let result = visit(self);
        self.0.pop();
        result
    }
}

/// A field that holds a normalisation.
///
/// A [`Norm`] can become any other, an `Option<BatchNorm>` can be emptied, a
/// [`BatchNorm`] only become another batch normalisation.
pub trait NormSlot: Module {
    /// The batch normalisation that the field holds, if it is one, alone or in
    /// a [`SyncBatchNorm`](crate::SyncBatchNorm).
    fn batch_norm(&self) -> Option<&BatchNorm>;

    /// The field with another normalisation.
    ///
    /// # Errors
    /// [`NormError::Slot`] if the type of the field can't hold it.
    fn with_norm(self, path: &str, norm: Norm) -> Result<Self, NormError>;
}

impl NormSlot for Norm {
    fn batch_norm(&self) -> Option<&BatchNorm> {
        match self {
            Self::Batch(norm) => Some(norm),
            Self::Sync(sync) => Some(&sync.norm),
            _ => None,
        }
    }

    fn with_norm(self, _path: &str, norm: Norm) -> Result<Self, NormError> {
        Ok(norm)
    }
}

impl NormSlot for BatchNorm {
    fn batch_norm(&self) -> Option<&BatchNorm> {
        Some(self)
    }

    fn with_norm(self, path: &str, norm: Norm) -> Result<Self, NormError> {
        match norm {
            Norm::Batch(norm) => Ok(norm),
            _ => Err(cannot_hold(path, "BatchNorm")),
        }
    }
}

impl NormSlot for Option<BatchNorm> {
    fn batch_norm(&self) -> Option<&BatchNorm> {
        self.as_ref()
    }

    fn with_norm(self, path: &str, norm: Norm) -> Result<Self, NormError> {
        match norm {
            Norm::Batch(norm) => Ok(Some(norm)),
            Norm::None(_) => Ok(None),
            _ => Err(cannot_hold(path, "Option<BatchNorm>")),
        }
    }
}

impl NormSlot for Option<Norm> {
    fn batch_norm(&self) -> Option<&BatchNorm> {
        self.as_ref().and_then(NormSlot::batch_norm)
    }

    fn with_norm(self, _path: &str, norm: Norm) -> Result<Self, NormError> {
        Ok(Some(norm))
    }
}

fn cannot_hold(path: &str, slot: &'static str) -> NormError {
    NormError::Slot {
        path: path.to_owned(),
        slot,
    }
}

/// Sees the normalisations of a model.
pub trait NormVisitor {
    /// A normalisation.
    fn visit_norm<S: NormSlot>(&mut self, path: &str, slot: &S);
}

/// Replaces the normalisations of a model.
pub trait NormMapper {
    /// A normalisation.
    fn map_norm<S: NormSlot>(&mut self, path: &str, slot: S) -> S;

    /// A normalisation with the layer whose output it alone normalises.
    fn map_pair<L: Fold, S: NormSlot>(&mut self, path: &str, layer: L, slot: S) -> (L, S) {
        (layer, self.map_norm(path, slot))
    }
}

/// A model whose normalisations can be seen and replaced; implemented by
/// [`norm_tree!`](crate::norm_tree) for models, and here for normalisations
/// and their collections.
pub trait NormTree: Sized {
    /// Shows every normalisation to the visitor.
    fn visit_norms<V: NormVisitor>(&self, place: &mut Place, visitor: &mut V);

    /// Hands every normalisation to the mapper and keeps what it returns.
    #[must_use]
    fn map_norms<M: NormMapper>(self, place: &mut Place, mapper: &mut M) -> Self;
}

macro_rules! slots {
    ($($Slot:ty),*) => {
        $(
            impl NormTree for $Slot {
                fn visit_norms<V: NormVisitor>(&self, place: &mut Place, visitor: &mut V) {
                    visitor.visit_norm(&place.path(), self);
                }

                fn map_norms<M: NormMapper>(self, place: &mut Place, mapper: &mut M) -> Self {
                    mapper.map_norm(&place.path(), self)
                }
            }
        )*
    };
}
slots!(Norm, BatchNorm);

impl<T: NormTree> NormTree for Option<T> {
    fn visit_norms<V: NormVisitor>(&self, place: &mut Place, visitor: &mut V) {
        if let Some(inner) = self {
            inner.visit_norms(place, visitor);
        }
    }

    fn map_norms<M: NormMapper>(self, place: &mut Place, mapper: &mut M) -> Self {
        self.map(|inner| inner.map_norms(place, mapper))
    }
}

impl<T: NormTree> NormTree for Vec<T> {
    fn visit_norms<V: NormVisitor>(&self, place: &mut Place, visitor: &mut V) {
        for (index, inner) in self.iter().enumerate() {
            place.enter(index.to_string(), |place| inner.visit_norms(place, visitor));
        }
    }

    fn map_norms<M: NormMapper>(self, place: &mut Place, mapper: &mut M) -> Self {
        let inner = self.into_iter().enumerate();
        let mapped = inner.map(|(index, inner)| {
            place.enter(index.to_string(), |place| inner.map_norms(place, mapper))
        });
        mapped.collect()
    }
}

impl<T: NormTree, const N: usize> NormTree for [T; N] {
    fn visit_norms<V: NormVisitor>(&self, place: &mut Place, visitor: &mut V) {
        for (index, inner) in self.iter().enumerate() {
            place.enter(index.to_string(), |place| inner.visit_norms(place, visitor));
        }
    }

    fn map_norms<M: NormMapper>(self, place: &mut Place, mapper: &mut M) -> Self {
        let mut index = 0;
        self.map(|inner| {
            let name = index.to_string();
            index += 1;
            place.enter(name, |place| inner.map_norms(place, mapper))
        })
    }
}

/// Lists the fields of a model that hold normalisations, or parts that do:
/// implements [`NormTree`](crate::NormTree) for it.
///
/// `conv => norm` says that `norm` normalises the output of the layer `conv`
/// and that nothing else uses that output, so the two can be folded; `field`
/// is a normalisation alone, or a part that is a `NormTree` itself (also in an
/// `Option`, a `Vec` or an array). What is not listed is left alone.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::{BatchNormConfig, Norm, NormConfig, fold_norms, norm_tree};
///
/// #[derive(Module, Debug)]
/// struct Block {
///     linear: Linear,
///     norm: Norm,
/// }
/// norm_tree!(Block { linear => norm });
///
/// #[derive(Module, Debug)]
/// struct Model {
///     blocks: Vec<Block>,
///     head: Linear,
/// }
/// norm_tree!(Model { blocks });
///
/// # impl Model {
/// #     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
/// #         let blocks = self.blocks.iter();
/// #         let x = blocks.fold(x, |x, b| b.norm.forward(b.linear.forward(x)));
/// #         self.head.forward(x)
/// #     }
/// # }
/// let device = Device::flex();
/// let norm = NormConfig::Batch(BatchNormConfig::new(1));
/// let block = || Block {
///     linear: LinearConfig::new(4, 4).init(&device),
///     norm: norm.init(4, &device),
/// };
/// let head = LinearConfig::new(4, 2).init(&device);
/// let model = Model { blocks: vec![block(), block()], head };
///
/// let x = Tensor::<2>::ones([1, 4], &device);
/// let want = model.forward(x.clone());
/// let folded = fold_norms(model)?;
/// assert!(matches!(folded.blocks[1].norm, Norm::None(_)));
/// assert!((folded.forward(x) - want).abs().max().into_scalar::<f32>() < 1e-5);
/// # Ok::<(), firecraft_norm::NormError>(())
/// ```
#[macro_export]
macro_rules! norm_tree {
    ($Model:ty { $($field:ident $(=> $norm:ident)?),* $(,)? }) => {
        impl $crate::NormTree for $Model {
            fn visit_norms<V: $crate::NormVisitor>(
                &self,
                place: &mut $crate::Place,
                visitor: &mut V,
            ) {
                $($crate::norm_tree!(@visit self, place, visitor, $field $(, $norm)?);)*
            }

            fn map_norms<M: $crate::NormMapper>(
                mut self,
                place: &mut $crate::Place,
                mapper: &mut M,
            ) -> Self {
                $($crate::norm_tree!(@map self, place, mapper, $field $(, $norm)?);)*
                self
            }
        }
    };
    (@visit $this:ident, $place:ident, $visitor:ident, $field:ident) => {
        $place.enter(stringify!($field), |place| {
            $crate::NormTree::visit_norms(&$this.$field, place, $visitor);
        });
    };
    (@visit $this:ident, $place:ident, $visitor:ident, $layer:ident, $norm:ident) => {
        $place.enter(stringify!($norm), |place| {
            $visitor.visit_norm(&place.path(), &$this.$norm);
        });
    };
    (@map $this:ident, $place:ident, $mapper:ident, $field:ident) => {
        $this.$field = $place.enter(stringify!($field), |place| {
            $crate::NormTree::map_norms($this.$field, place, $mapper)
        });
    };
    (@map $this:ident, $place:ident, $mapper:ident, $layer:ident, $norm:ident) => {
        ($this.$layer, $this.$norm) = $place.enter(stringify!($norm), |place| {
            $mapper.map_pair(&place.path(), $this.$layer, $this.$norm)
        });
    };
}

/// The paths of all normalisations that a model lists, in order.
///
/// ```
/// use burn::tensor::Device;
/// use firecraft_norm::{BatchNormConfig, norm_paths};
///
/// let model = vec![BatchNormConfig::new(3).init(&Device::flex()); 2];
/// assert_eq!(norm_paths(&model), ["0", "1"]);
/// ```
#[must_use]
pub fn norm_paths<M: NormTree>(model: &M) -> Vec<String> {
    struct Paths(Vec<String>);
    impl NormVisitor for Paths {
        fn visit_norm<S: NormSlot>(&mut self, path: &str, _slot: &S) {
            self.0.push(path.to_owned());
        }
    }
    let mut paths = Paths(Vec::new());
    model.visit_norms(&mut Place::default(), &mut paths);
    paths.0
}

/// Folds every batch normalisation of a model into the layer before it, as
/// far as [`norm_tree!`](crate::norm_tree) names that layer, for inference:
/// the model computes what it did in evaluation, with fewer layers.
///
/// # Errors
/// Those of [`Fold::try_fold`], and [`NormError::Slot`] if a field can't be
/// emptied: make it a [`Norm`] or an `Option`.
pub fn fold_norms<M: NormTree>(model: M) -> Result<M, NormError> {
    struct Folder(Option<NormError>);

    impl Folder {
        /// The results, or the arguments unchanged and the error kept.
        fn try_pair<L: Fold, S: NormSlot>(
            &mut self,
            path: &str,
            layer: L,
            slot: S,
        ) -> Result<(L, S), NormError> {
            let Some(norm) = slot.batch_norm().cloned() else {
                return Ok((layer, slot));
            };
            let slot = slot.with_norm(path, Norm::None(Identity))?;
            Ok((layer.try_fold(&norm)?, slot))
        }
    }

    impl NormMapper for Folder {
        fn map_norm<S: NormSlot>(&mut self, _path: &str, slot: S) -> S {
            slot
        }

        fn map_pair<L: Fold, S: NormSlot>(&mut self, path: &str, layer: L, slot: S) -> (L, S) {
            let unchanged = (layer.clone(), slot.clone());
            self.try_pair(path, layer, slot).unwrap_or_else(|error| {
                self.0.get_or_insert(error);
                unchanged
            })
        }
    }

    let mut folder = Folder(None);
    let model = model.map_norms(&mut Place::default(), &mut folder);
    folder.0.map_or(Ok(model), Err)
}

/// Replaces batch normalisations of a model: `replace` is called with the path
/// and the layer of each, and gives the normalisation to put in its place, or
/// `None` to leave it.
///
/// ```
/// use burn::tensor::Device;
/// use firecraft_norm::{BatchNormConfig, Norm, NormConfig, replace_batch_norms};
///
/// // BN -> GN with the learned factors and offsets, for fine-tuning on small batches.
/// let norm = NormConfig::Batch(BatchNormConfig::new(1));
/// let model = vec![norm.init(64, &Device::flex())];
/// let model = replace_batch_norms(model, |_path, norm| Some(norm.to_group_norm(32)))?;
/// assert!(matches!(model[0], Norm::Group(_)));
/// # Ok::<(), firecraft_norm::NormError>(())
/// ```
///
/// A synchronised layer is shown as the batch normalisation inside it, so
/// `Some(Norm::Batch(norm.clone()))` undoes [`BatchNorm::to_sync`].
///
/// # Errors
/// [`NormError::Slot`] if a field can't hold its new normalisation.
pub fn replace_batch_norms<M: NormTree>(
    model: M,
    replace: impl FnMut(&str, &BatchNorm) -> Option<Norm>,
) -> Result<M, NormError> {
    struct Replacer<F> {
        replace: F,
        error: Option<NormError>,
    }

    impl<F: FnMut(&str, &BatchNorm) -> Option<Norm>> NormMapper for Replacer<F> {
        fn map_norm<S: NormSlot>(&mut self, path: &str, slot: S) -> S {
            let new = slot
                .batch_norm()
                .and_then(|norm| (self.replace)(path, norm));
            let Some(norm) = new else {
                return slot;
            };
            slot.clone().with_norm(path, norm).unwrap_or_else(|error| {
                self.error.get_or_insert(error);
                slot
            })
        }
    }

    let mut replacer = Replacer {
        replace,
        error: None,
    };
    let model = model.map_norms(&mut Place::default(), &mut replacer);
    replacer.error.map_or(Ok(model), Err)
}

#[cfg(test)]
mod tests;
