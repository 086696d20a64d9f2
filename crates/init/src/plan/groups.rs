//! Groups of convolutions, read from the `Debug` output of a module.
//!
//! A mapper of burn sees parameters, not layers, and a grouped weight
//! `[out, in / groups, k…]` doesn't show its groups; but `fan_out` needs them,
//! and a wrong guess is off by the factor `groups`. Every burn module derives
//! `Debug`, which prints `Conv2d { weight: Param: ID …, groups: 4, … }`, so the
//! groups are read from there, by parameter id. Where a module hides them,
//! `InitPlan::groups` sets them by hand.

use std::collections::HashMap;
use std::fmt::{self, Write};

/// Groups by the printed id of the parameters of the layer.
pub(super) fn groups_of(module: &impl fmt::Debug) -> HashMap<String, usize> {
    let mut reader = Reader::default();
    // The reader never fails; an error can only come from a foreign `Debug`.
    let _ = write!(reader, "{module:?}");
    reader.found
}

/// Reads the stream piecewise, so that printed tensors don't pile up.
#[derive(Default)]
struct Reader {
    levels: Vec<Level>,
    token: String,
    previous: String,
    found: HashMap<String, usize>,
}

#[derive(Default)]
struct Level {
    ids: Vec<String>,
    groups: Option<usize>,
}

/// Longer tokens are contents of tensors.
const LONGEST: usize = 64;

impl Reader {
    fn end_token(&mut self) {
        if self.token.is_empty() {
            return;
        }
        let token = std::mem::take(&mut self.token);
        if let Some(level) = self.levels.last_mut() {
            if self.previous == "Param:" {
                level.ids.push(token.clone());
            }
            if matches!(self.previous.as_str(), "groups:" | "weight_groups:") {
                level.groups = token.parse().ok();
            }
        }
        self.previous = token;
    }
}

impl Write for Reader {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '{' | '(' | '[' => {
                    self.end_token();
                    if c == '{' {
                        self.levels.push(Level::default());
                    }
                }
                '}' => {
                    self.end_token();
                    if let Some(level) = self.levels.pop()
                        && let Some(groups) = level.groups
                    {
                        self.found
                            .extend(level.ids.into_iter().map(|id| (id, groups)));
                    }
                }
                ' ' | ',' | ')' | ']' | '\n' => self.end_token(),
                _ if self.token.len() < LONGEST => self.token.push(c),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose1dConfig};
    use burn::tensor::Device;

    #[test]
    fn groups_are_found_for_every_convolution_of_a_model() {
        #[derive(Debug)]
        #[allow(dead_code)]
        struct Model {
            plain: Conv2d,
            nested: Vec<Option<Conv2d>>,
        }
        let device = Device::flex();
        let conv = |groups| {
            Conv2dConfig::new([8, 12], [3, 3])
                .with_groups(groups)
                .init(&device)
        };
        let model = Model {
            plain: conv(1),
            nested: vec![Some(conv(4)), None],
        };
        let groups = groups_of(&model);
        let nested = model.nested[0].as_ref().unwrap();
        assert_eq!(groups[&model.plain.weight.id.to_string()], 1);
        assert_eq!(groups[&nested.weight.id.to_string()], 4);
        assert_eq!(groups[&nested.bias.as_ref().unwrap().id.to_string()], 4);

        let transposed = ConvTranspose1dConfig::new([8, 12], 3)
            .with_groups(2)
            .init(&device);
        assert_eq!(groups_of(&transposed)[&transposed.weight.id.to_string()], 2);
    }
}
