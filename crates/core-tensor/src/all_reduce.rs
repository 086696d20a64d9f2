//! Sums over the workers of a data-parallel run, differentiable.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use burn::tensor::distributed::{ReduceOperation, all_reduce};
use burn::tensor::{DType, Device, FloatDType, Tensor};

mod host;

/// How the workers of a run, each with its part of a batch, add up vectors.
///
/// Every worker calls [`sum`](Self::sum) at the same points of its program, in
/// the forward and, through the graph, in the backward pass; a call returns
/// once all have come. A worker that leaves out a call, or fails before it,
/// leaves the others waiting.
pub trait AllReduce: fmt::Debug + Send + Sync {
    /// The elementwise sum of the vectors of all workers, the same for each.
    /// Differentiable: the gradient of `values` is the sum of the gradients of
    /// all workers.
    fn sum(&self, values: Tensor<1>) -> Tensor<1>;
}

/// Sums through burn's collectives, on the devices themselves.
///
/// One worker per device, which burn's `DistributedContext` must have been
/// started for. Only backends with collectives have them: CUDA today; on
/// others burn panics.
#[derive(Clone, Debug)]
pub struct DeviceAllReduce {
    devices: Vec<Device>,
}

impl DeviceAllReduce {
    /// Sums over these devices, in the same order for every worker.
    #[must_use]
    pub fn new(devices: impl Into<Vec<Device>>) -> Self {
        Self {
            devices: devices.into(),
        }
    }
}

impl AllReduce for DeviceAllReduce {
    fn sum(&self, values: Tensor<1>) -> Tensor<1> {
        all_reduce(values, ReduceOperation::Sum, self.devices.clone()).resolve()
    }
}

/// Sums numbers in host memory: any transport (threads, sockets, MPI) is a
/// function that replaces a slice by its sum over the workers.
///
/// Works where the backend is flex or one of burn's GPU backends. Vectors are
/// read back from the device for every sum; those of normalisations have a few
/// numbers per channel.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_core_tensor::{AllReduce, HostAllReduce};
///
/// // A transport that pretends there is a second worker with the same values.
/// let twice = HostAllReduce::new(|values| values.iter_mut().for_each(|v| *v *= 2.0));
/// let sum = twice.sum(Tensor::from_floats([1.0, 2.5], &Device::flex()));
/// assert_eq!(sum.try_into_vec_as::<f32>()?, [2.0, 5.0]);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Clone)]
pub struct HostAllReduce {
    sum: Arc<Transport>,
}

type Transport = dyn Fn(&mut [f32]) + Send + Sync;

impl HostAllReduce {
    /// Sums by a function that replaces its argument by the sum over all
    /// workers and returns when it is there.
    #[must_use]
    pub fn new(sum: impl Fn(&mut [f32]) + Send + Sync + 'static) -> Self {
        Self { sum: Arc::new(sum) }
    }

    /// One per thread of a group of `workers` threads of this process. Sums are
    /// taken in the order of the workers, so they have the same bits each time.
    #[must_use]
    pub fn threads(workers: usize) -> Vec<Self> {
        let group = Arc::new(Group::new(workers));
        let member = |worker| {
            let group = Arc::clone(&group);
            Self::new(move |values| group.sum(worker, values))
        };
        (0..workers).map(member).collect()
    }
}

impl fmt::Debug for HostAllReduce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostAllReduce")
    }
}

impl AllReduce for HostAllReduce {
    fn sum(&self, values: Tensor<1>) -> Tensor<1> {
        let dtype = values.dtype();
        let values = match dtype {
            DType::F32 => values,
            _ => values.cast(FloatDType::F32),
        };
        let sum = host::sum(values, self.clone());
        match dtype {
            DType::F32 => sum,
            other => sum.cast(FloatDType::from(other)),
        }
    }
}

/// Threads that meet to add up their vectors.
struct Group {
    state: Mutex<Meeting>,
    moved: Condvar,
}

struct Meeting {
    /// The vectors of those who came.
    given: Vec<Option<Vec<f32>>>,
    /// The sum, and how many have still to take it.
    sum: Vec<f32>,
    waiting: usize,
}

impl Group {
    fn new(workers: usize) -> Self {
        Self {
            state: Mutex::new(Meeting {
                given: vec![None; workers],
                sum: Vec::new(),
                waiting: 0,
            }),
            moved: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Meeting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, Meeting>) -> MutexGuard<'a, Meeting> {
        self.moved
            .wait(guard)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn sum(&self, worker: usize, values: &mut [f32]) {
        let mut state = self.lock();
        // The sum of the meeting before must be taken by all first.
        while state.waiting > 0 {
            state = self.wait(state);
        }
        state.given[worker] = Some(values.to_vec());
        if state.given.iter().all(Option::is_some) {
            let mut sum = vec![0.0; values.len()];
            for given in state.given.iter_mut().filter_map(Option::take) {
                sum.iter_mut()
                    .zip(given)
                    .for_each(|(sum, value)| *sum += value);
            }
            state.sum = sum;
            state.waiting = state.given.len();
            self.moved.notify_all();
        } else {
            while state.waiting == 0 {
                state = self.wait(state);
            }
        }
        values.copy_from_slice(&state.sum);
        state.waiting -= 1;
        self.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    #[test]
    fn threads_get_the_sum_of_all_every_time() {
        let group = HostAllReduce::threads(3);
        std::thread::scope(|scope| {
            for (worker, reduce) in group.into_iter().enumerate() {
                scope.spawn(move || {
                    for round in 0..50 {
                        let own =
                            Tensor::from_floats([worker as f32, round as f32], &Device::flex());
                        assert_eq!(values(reduce.sum(own)), [3.0, 3.0 * round as f32]);
                    }
                });
            }
        });
    }

    #[test]
    fn gradients_are_summed_too() {
        let device = Device::flex().autodiff();
        let group = HostAllReduce::threads(2);
        let gradient = |reduce: HostAllReduce, weight: f32| {
            let x = Tensor::<1>::from_floats([1.0, 2.0], &device).require_grad();
            let sum = reduce.sum(x.clone());
            let gradients = (sum.square() * weight).sum().backward();
            values(x.grad(&gradients).unwrap())
        };
        let [first, second]: [HostAllReduce; 2] = group.try_into().unwrap();
        let (a, b) = std::thread::scope(|scope| {
            let other = scope.spawn(|| gradient(second, 10.0));
            (gradient(first, 1.0), other.join().unwrap())
        });
        // Sums are [2, 4]; 2 * sum * (1 + 10) in both.
        assert_eq!(a, [44.0, 88.0]);
        assert_eq!(b, a);
    }
}
