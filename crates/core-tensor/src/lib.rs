//! Devices by feature flag, key and mode cells, tensor statistics and kernels.
