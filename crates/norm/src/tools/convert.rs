//! A batch normalisation as another normalisation.

use std::sync::Arc;

use crate::norm::greatest_common_divisor;
use crate::{AllReduce, BatchNorm, GroupNorm, GroupNormConfig, Norm, SyncBatchNorm};

impl BatchNorm {
    /// Group normalisation with the factors, offsets, epsilon and feature axis
    /// of this layer, for batches too small for batch statistics. The number of
    /// groups is the greatest common divisor of `num_groups` and the features.
    ///
    /// The output is another one than before: fine-tune after it.
    #[must_use]
    pub fn to_group_norm(&self, num_groups: usize) -> Norm {
        let config = self.config();
        let features = config.num_features;
        let groups = greatest_common_divisor(num_groups.max(1), features);
        let group = GroupNormConfig::new(groups, features)
            .with_epsilon(config.epsilon)
            .with_axis(config.axis)
            .with_kernels(config.kernels);
        Norm::Group(GroupNorm::from_parts(
            group,
            self.gamma.clone(),
            self.beta.clone(),
        ))
    }

    /// This layer frozen: running statistics always, nothing learned. What
    /// torchvision's `FrozenBatchNorm2d` is.
    #[must_use]
    pub fn to_frozen(&self) -> Norm {
        Norm::Batch(burn::module::Module::freeze(self.clone()))
    }

    /// This layer with the statistics of the batches of all devices.
    #[must_use]
    pub fn to_sync(&self, all_reduce: Arc<dyn AllReduce>) -> Norm {
        Norm::Sync(SyncBatchNorm::new(self.clone(), all_reduce))
    }
}
