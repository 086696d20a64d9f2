//! Which parameters a group of an optimiser holds.

use serde::{Deserialize, Serialize};

/// Selects parameters by path and rank.
///
/// ```
/// use firecraft_trainer::Select;
///
/// let vectors = Select::RankAtMost { rank: 1 };
/// assert!(vectors.matches("conv1.bias", 1));
/// assert!(!vectors.matches("conv1.weight", 4));
/// let backbone = Select::Path { glob: "backbone.*".into() };
/// assert!(backbone.matches("backbone.conv1.weight", 4));
/// assert!(!backbone.matches("head.weight", 2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Select {
    /// Every parameter.
    All,
    /// Parameters of at most this rank. Rank 1 means biases and the scales and
    /// shifts of norms, which are usually spared from weight decay.
    RankAtMost {
        /// The greatest rank that is selected.
        rank: usize,
    },
    /// Parameters whose path matches a glob: `*` stands for any text, also
    /// across dots, `?` for one character.
    Path {
        /// The pattern.
        glob: String,
    },
}

impl Select {
    /// Whether a parameter is selected.
    pub fn matches(&self, path: &str, rank: usize) -> bool {
        match self {
            Self::All => true,
            Self::RankAtMost { rank: limit } => rank <= *limit,
            Self::Path { glob } => glob_matches(glob.as_bytes(), path.as_bytes()),
        }
    }
}

/// A parameter group of a recipe: which parameters, with which factor on the
/// learning rate and which weight decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRule {
    /// Which parameters.
    pub select: Select,
    /// Factor on the learning rate, at least 0.
    #[serde(default = "one")]
    pub learning_rate_scale: f64,
    /// Weight decay of the group; that of the optimiser when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
}

/// One group per stage of a model, from its input to its output, whose learning
/// rates fall by `decay` per stage towards the input: timm's `layer_decay`,
/// fastai's `slice(lr)`.
///
/// The last stage has the learning rate of the optimiser, and so has what no
/// stage matches.
///
/// ```
/// use firecraft_trainer::layer_decay;
///
/// let groups = layer_decay(["stem.*", "stage1.*", "head.*"], 0.5);
/// let scales: Vec<f64> = groups.iter().map(|group| group.learning_rate_scale).collect();
/// assert_eq!(scales, [0.25, 0.5, 1.0]);
/// ```
pub fn layer_decay<'a>(
    stages: impl IntoIterator<Item = &'a str, IntoIter: ExactSizeIterator>,
    decay: f64,
) -> Vec<GroupRule> {
    let stages = stages.into_iter();
    let last = stages.len() as i32 - 1;
    let rule = |(at, glob): (usize, &str)| GroupRule {
        select: Select::Path { glob: glob.into() },
        learning_rate_scale: decay.powi(last - at as i32),
        weight_decay: None,
    };
    stages.enumerate().map(rule).collect()
}

fn one() -> f64 {
    1.0
}

fn glob_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                // Let the last star swallow one more character.
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, t));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_a_shell_user_expects() {
        for (glob, path, expected) in [
            ("*", "a.b", true),
            ("a.*", "a.b.c", true),
            ("a.*", "b.a", false),
            ("*.bias", "layer.0.bias", true),
            ("*.bias", "layer.0.bias2", false),
            ("layer.?.weight", "layer.3.weight", true),
            ("layer.?.weight", "layer.13.weight", false),
            ("a*b*c", "a_x_b_y_b_c", true),
            ("", "", true),
            ("", "a", false),
        ] {
            let select = Select::Path { glob: glob.into() };
            assert_eq!(select.matches(path, 1), expected, "{glob} {path}");
        }
    }
}
