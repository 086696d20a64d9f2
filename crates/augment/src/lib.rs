//! Data augmentation for burn: plans, fusion, and layers.
