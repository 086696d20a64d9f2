//! What a rule selects, and what a parameter is to its layer.

use super::glob::{Glob, segment};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a parameter is to the layer it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Weight of a linear layer or a convolution.
    Weight,
    /// Bias of a linear layer or a convolution.
    Bias,
    /// Look-up table.
    Embedding,
    /// Weight of a query, key, value or output projection.
    Attention,
    /// Bias of a query, key, value or output projection.
    AttentionBias,
    /// Input-to-hidden weight of a recurrent gate.
    RecurrentInput,
    /// Hidden-to-hidden weight of a recurrent gate.
    Recurrent,
    /// Bias of a recurrent gate.
    RecurrentBias,
    /// Input-side bias of a recurrent forget gate.
    ForgetBias,
    /// Scale of a normalisation layer.
    NormScale,
    /// Shift of a normalisation layer.
    NormShift,
    /// A parameter whose layer builds it with a value of its own: slope of a
    /// PReLU, layer scale, low-rank adapter.
    LayerOwned,
    /// A running statistic or another buffer: no plan ever writes it.
    Statistic,
    /// A parameter declared directly in a module that this crate doesn't know.
    Other,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weight => "weight",
            Self::Bias => "bias",
            Self::Embedding => "embedding",
            Self::Attention => "attention",
            Self::AttentionBias => "attention_bias",
            Self::RecurrentInput => "recurrent_input",
            Self::Recurrent => "recurrent",
            Self::RecurrentBias => "recurrent_bias",
            Self::ForgetBias => "forget_bias",
            Self::NormScale => "norm_scale",
            Self::NormShift => "norm_shift",
            Self::LayerOwned => "layer_owned",
            Self::Statistic => "statistic",
            Self::Other => "other",
        })
    }
}

/// A condition on parameters; the parts that are given all have to hold.
///
/// ```
/// use firecraft_init::{Role, Select};
/// let select = Select::path("encoder.**").kind("Conv*").role(Role::Weight);
/// assert_eq!(select.to_string(), "path encoder.**, kind Conv*, role weight");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Select {
    /// Pattern over the path of the parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Glob>,
    /// Pattern over the type name of the layer, such as `Linear` or `Conv*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What the parameter is to its layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

impl Select {
    /// Parameters whose path matches.
    #[must_use]
    pub fn path(pattern: impl Into<Glob>) -> Self {
        Self {
            path: Some(pattern.into()),
            ..Self::default()
        }
    }

    /// Parameters of that role.
    #[must_use]
    pub fn any(role: Role) -> Self {
        Self::default().role(role)
    }

    /// Further restricted to layers whose type name matches.
    #[must_use]
    pub fn kind(mut self, pattern: impl Into<String>) -> Self {
        self.kind = Some(pattern.into());
        self
    }

    /// Further restricted to a role.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    pub(super) fn matches(&self, path: &str, kind: &str, role: Role) -> bool {
        self.path.as_ref().is_none_or(|glob| glob.matches(path))
            && self.kind.as_ref().is_none_or(|glob| segment(glob, kind))
            && self.role.is_none_or(|wanted| wanted == role)
    }
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = [
            self.path.as_ref().map(|path| format!("path {path}")),
            self.kind.as_ref().map(|kind| format!("kind {kind}")),
            self.role.map(|role| format!("role {role}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if parts.is_empty() {
            f.write_str("everything")
        } else {
            f.write_str(&parts.join(", "))
        }
    }
}

/// The role of field `field` of a layer of type `kind`, given the modules
/// (name, type) that lead to it.
pub(super) fn role_of(kind: &str, field: &str, ancestors: &[(String, String)]) -> Role {
    let inside = |wanted: &str| ancestors.iter().any(|(_, kind)| kind == wanted);
    if field.starts_with("running_") || field.starts_with("moving_") {
        return Role::Statistic;
    }
    if inside("Reparameterization") {
        return Role::LayerOwned;
    }
    match (kind, field) {
        ("Linear", "weight" | "bias") if inside("Struct:GateController") => {
            let on_input = ancestors.iter().any(|(name, _)| name == "input_transform");
            let forget = ancestors.iter().any(|(name, _)| name == "forget_gate");
            match field {
                "weight" if on_input => Role::RecurrentInput,
                "weight" => Role::Recurrent,
                _ if on_input && forget => Role::ForgetBias,
                _ => Role::RecurrentBias,
            }
        }
        ("Linear", "weight") if in_attention(ancestors) => Role::Attention,
        ("Linear", "bias") if in_attention(ancestors) => Role::AttentionBias,
        (kind, "weight") if is_weighted(kind) => Role::Weight,
        (kind, "bias") if is_weighted(kind) => Role::Bias,
        ("Embedding", "weight") => Role::Embedding,
        (kind, "gamma" | "scale" | "weight") if is_affine_norm(kind) => Role::NormScale,
        (kind, "beta" | "shift" | "bias") if is_affine_norm(kind) => Role::NormShift,
        ("PRelu" | "LayerScale", _) => Role::LayerOwned,
        (kind, _) if kind.contains("Norm") => Role::LayerOwned,
        _ => Role::Other,
    }
}

fn in_attention(ancestors: &[(String, String)]) -> bool {
    (ancestors.iter()).any(|(_, kind)| kind.ends_with("Attention"))
}

/// Layers of burn with a weight and a bias in a layout that is known.
pub(super) fn is_weighted(kind: &str) -> bool {
    matches!(
        kind,
        "Linear"
            | "Conv1d"
            | "Conv2d"
            | "Conv3d"
            | "ConvTranspose1d"
            | "ConvTranspose2d"
            | "ConvTranspose3d"
            | "DeformConv2d"
    )
}

/// Normalisations that start as the identity: scale 1, shift 0.
fn is_affine_norm(kind: &str) -> bool {
    const KINDS: [&str; 9] = [
        "BatchNorm",
        "SyncBatchNorm",
        "GhostBatchNorm",
        "SplitBatchNorm",
        "BatchRenorm",
        "LayerNorm",
        "GroupNorm",
        "InstanceNorm",
        "RmsNorm",
    ];
    let base = kind.trim_end_matches(['1', '2', '3', 'd']);
    KINDS.contains(&base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_follow_the_layer_and_the_field() {
        let gate = |gate: &str, side: &str| {
            vec![
                ("lstm".to_owned(), "Struct:Model".to_owned()),
                (gate.to_owned(), "Struct:Lstm".to_owned()),
                (side.to_owned(), "Struct:GateController".to_owned()),
            ]
        };
        let input = gate("forget_gate", "input_transform");
        let hidden = gate("forget_gate", "hidden_transform");
        assert_eq!(role_of("Linear", "bias", &input), Role::ForgetBias);
        assert_eq!(role_of("Linear", "bias", &hidden), Role::RecurrentBias);
        assert_eq!(role_of("Linear", "weight", &input), Role::RecurrentInput);
        assert_eq!(role_of("Linear", "weight", &hidden), Role::Recurrent);
        assert_eq!(role_of("BatchNorm2d", "gamma", &[]), Role::NormScale);
        assert_eq!(role_of("BatchNorm", "running_var", &[]), Role::Statistic);
        assert_eq!(
            role_of("GlobalResponseNorm", "gamma", &[]),
            Role::LayerOwned
        );
        assert_eq!(role_of("Vit", "cls_token", &[]), Role::Other);
        let attention = [("query".to_owned(), "Struct:MultiHeadAttention".to_owned())];
        assert_eq!(role_of("Linear", "weight", &attention), Role::Attention);
    }

    #[test]
    fn all_parts_of_a_selector_have_to_hold() {
        let select = Select::path("a.**").kind("Conv*").role(Role::Weight);
        assert!(select.matches("a.weight", "Conv2d", Role::Weight));
        assert!(!select.matches("b.weight", "Conv2d", Role::Weight));
        assert!(!select.matches("a.weight", "Linear", Role::Weight));
        assert!(!select.matches("a.bias", "Conv2d", Role::Bias));
        assert!(Select::default().matches("x", "y", Role::Other));
    }
}
