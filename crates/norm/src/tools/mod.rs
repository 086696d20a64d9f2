//! Tools on the normalisations of a whole model, of this crate or burn's.

mod average;
mod convert;
mod freeze;
mod report;
mod weight_decay;

pub use average::average_statistics;
pub use freeze::{freeze_norms, unfreeze_norms};
pub use report::{Drift, NormReport, NormStatistics, inspect_norms, inspect_norms_on};
pub use weight_decay::{NoWeightDecay, no_weight_decay};

/// Where a visitor or mapper stands.
#[derive(Default)]
struct Stack(Vec<(String, String)>);

impl Stack {
    fn enter(&mut self, name: &str, container: &str) {
        self.0.push((name.to_owned(), container.to_owned()));
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    /// The path of the leaf.
    fn path(&self) -> String {
        join(&self.0)
    }

    /// The name of the leaf.
    fn leaf(&self) -> &str {
        self.0.last().map_or("", |(name, _)| name)
    }

    /// The type of the innermost module.
    fn layer(&self) -> &str {
        let container = self.0.last().map_or("", |(_, container)| container);
        container.strip_prefix("Struct:").unwrap_or_default()
    }

    /// Whether the leaf is a running statistic.
    fn is_statistic(&self) -> bool {
        let starts = ["running_", "renorm_"];
        starts.iter().any(|start| self.leaf().starts_with(start))
    }

    /// The path of the innermost module, where it is a normalisation. That of
    /// a [`Norm`](crate::Norm) is the path of the field that holds it, without
    /// the name of the variant, and a synchronised layer has the path of the
    /// one inside, so that paths survive a conversion.
    fn norm(&self) -> Option<String> {
        if !is_norm(self.layer()) {
            return None;
        }
        let mut owners = self.0.split_last().map_or(&[][..], |(_, owners)| owners);
        for wrapper in ["Struct:SyncBatchNorm", "Enum:Norm"] {
            if let [outer @ .., (_, container)] = owners
                && container == wrapper
            {
                owners = outer;
            }
        }
        Some(join(owners))
    }
}

fn join(stack: &[(String, String)]) -> String {
    let names: Vec<&str> = stack.iter().map(|(name, _)| name.as_str()).collect();
    names.join(".")
}

/// Whether a layer of this name normalises activations: those of this crate
/// and those of burn.
fn is_norm(layer: &str) -> bool {
    matches!(
        layer,
        "BatchNorm"
            | "BatchRenorm"
            | "EvoNorm"
            | "FilterResponseNorm"
            | "GlobalResponseNorm"
            | "GroupNorm"
            | "InstanceNorm"
            | "LayerNorm"
            | "RmsNorm"
            | "SimpleNorm"
    )
}
