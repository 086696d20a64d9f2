//! Residual convolutional networks.

use crate::peers::torch;
use crate::plan::{InitPlan, Select};
use crate::{Constant, FanMode, Role, VarianceScaling};

/// ResNet as its authors and torchvision start it: convolutions He normal by
/// `fan_out`, so that gradients keep their variance on the way back,
/// normalisations at the identity, the classifier as torch's `Linear`
/// (He et al. 2015, 2016). Combine it with
/// [`zero_init_residual`](InitPlan::zero_init_residual).
///
/// The fans of grouped convolutions (ResNeXt, MobileNet) count the connections
/// that there are. torchvision forgets the groups, and its deviation is `√groups`
/// smaller; for that, add
/// `.kind("Conv*", peers::torch::kaiming_normal(2_f64.sqrt(), FanMode::Out))`.
///
/// ```
/// use burn::{nn::conv::Conv2dConfig, tensor::Device};
/// use firecraft_init::presets;
/// let conv = Conv2dConfig::new([3, 64], [7, 7]).init(&Device::flex());
/// let table = presets::resnet().preview(&conv)?;
/// assert_eq!(table.get("weight").unwrap().std, Some((2.0 / (64.0 * 49.0_f64)).sqrt()));
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[must_use]
pub fn resnet() -> InitPlan {
    let convolution = VarianceScaling::he_normal().with_mode(FanMode::Out);
    torch::layer_defaults()
        .default_rule(
            Select::default().kind("Conv*").role(Role::Weight),
            convolution,
        )
        .default_rule(
            Select::default().kind("Conv*").role(Role::Bias),
            Constant::ZEROS,
        )
}
