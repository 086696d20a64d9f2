//! The weights of a model's linear layers and convolutions.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// A weight of a linear layer, convolution or embedding, as selections of
/// [`WeightNormConfig`](crate::WeightNormConfig),
/// [`Constraint`](crate::Constraint) and their like see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// The path of the parameter, as in `blocks.0.conv.weight`.
    pub path: String,
    /// The type of the layer, as in `Conv2d`.
    pub layer: String,
    /// The shape as burn keeps it: `[in, out]` for a linear layer,
    /// `[out, in / groups, ..]` for a convolution, `[in, out / groups, ..]` for
    /// a transposed one, `[items, size]` for an embedding.
    pub shape: Vec<usize>,
    /// The axis of the output features in that shape (of an embedding: the
    /// items).
    pub output_axis: usize,
    /// Whether a reparametrisation is attached already.
    pub reparametrized: bool,
}

/// Every weight of the linear layers, convolutions and embeddings of burn in a
/// model, in the order of its fields.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
///
/// let model = vec![LinearConfig::new(4, 3).init(&Device::flex())];
/// let weights = firecraft_norm::weights(&model);
/// assert_eq!(weights[0].path, "0.weight");
/// assert_eq!((weights[0].shape.as_slice(), weights[0].output_axis), (&[4, 3][..], 1));
/// ```
#[must_use]
pub fn weights<M: Module>(model: &M) -> Vec<Weight> {
    let mut finder = Finder::default();
    model.visit(&mut finder);
    finder.found
}

/// The output axis of the weight of a layer of burn.
fn output_axis(layer: &str) -> Option<usize> {
    match layer {
        "Linear" | "ConvTranspose1d" | "ConvTranspose2d" | "ConvTranspose3d" => Some(1),
        "Conv1d" | "Conv2d" | "Conv3d" | "DeformConv2d" | "Embedding" => Some(0),
        _ => None,
    }
}

#[derive(Default)]
struct Finder {
    path: Vec<String>,
    owners: Vec<String>,
    found: Vec<Weight>,
}

impl ModuleVisitor for Finder {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        if container_type == "Reparameterization"
            && let Some(weight) = self.found.last_mut()
            && weight.path == self.path.join(".")
        {
            weight.reparametrized = true;
        }
        let owner = container_type.strip_prefix("Struct:");
        self.path.push(name.to_owned());
        self.owners.push(owner.unwrap_or_default().to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
        self.owners.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (Some(name), Some(layer)) = (self.path.last(), self.owners.last()) else {
            return;
        };
        if let Some(output_axis) = output_axis(layer)
            && name == "weight"
        {
            self.found.push(Weight {
                path: self.path.join("."),
                layer: layer.clone(),
                shape: param.lazy_shape().to_vec(),
                output_axis,
                reparametrized: false,
            });
        }
    }
}

/// A shape as `[before, axis, after]`; all of it as one row without an axis.
pub(crate) fn split(shape: &[usize], axis: Option<usize>) -> [usize; 3] {
    match axis {
        Some(axis) => [
            shape[..axis].iter().product(),
            shape[axis],
            shape[axis + 1..].iter().product(),
        ],
        None => [1, 1, shape.iter().product()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose1d, ConvTranspose1dConfig};
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Model {
        conv: Conv2d,
        up: Option<ConvTranspose1d>,
        blocks: Vec<Linear>,
    }

    #[test]
    fn weights_are_found_by_layer_with_their_output_axes() {
        let device = Device::flex();
        let model = Model {
            conv: Conv2dConfig::new([2, 6], [3, 3]).init(&device),
            up: Some(ConvTranspose1dConfig::new([2, 4], 3).init(&device)),
            blocks: vec![LinearConfig::new(5, 7).init(&device)],
        };
        let found: Vec<_> = weights(&model)
            .into_iter()
            .map(|w| (w.path, w.layer, w.shape[w.output_axis]))
            .collect();
        let want = [
            ("conv.weight", "Conv2d", 6),
            ("up.weight", "ConvTranspose1d", 4),
            ("blocks.0.weight", "Linear", 7),
        ];
        let want = want.map(|(path, layer, n)| (path.to_owned(), layer.to_owned(), n));
        assert_eq!(found, want);
    }

    #[test]
    fn shapes_split_at_their_axis() {
        assert_eq!(split(&[2, 3, 4], Some(1)), [2, 3, 4]);
        assert_eq!(split(&[2, 3, 4], Some(0)), [1, 2, 12]);
        assert_eq!(split(&[2, 3, 4], None), [1, 1, 24]);
    }
}
