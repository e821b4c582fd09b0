//! Which processor computes: `--device auto|cpu|wgpu`, and in builds with these features `cuda` and `tch`.

use burn::tensor::Device;

use crate::ModelError;

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A real GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// Whatever the graphics driver offers, a software rasteriser included.
    Wgpu,
    /// The first NVIDIA GPU, through CUDA; needs the feature `cuda`.
    Cuda,
    /// The CPU, through LibTorch; needs the feature `tch`.
    Tch,
}

impl DeviceChoice {
    /// All choices.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Cpu, Self::Wgpu, Self::Cuda, Self::Tch];

    /// The name used by `--device`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
            Self::Tch => "tch",
        }
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|choice| choice.name() == name)
            .ok_or_else(|| format!("unknown device {name:?}: one of auto, cpu, wgpu, cuda, tch"))
    }
}

/// A device that is ready to compute.
#[derive(Clone, Debug)]
pub struct OpenDevice {
    /// For networks.
    pub device: Device,
    /// For people: what it is.
    pub description: String,
    /// Why it is the CPU where a GPU was looked for.
    pub fallback: Option<String>,
}

impl OpenDevice {
    fn new(device: Device, description: impl Into<String>) -> Self {
        Self { device, description: description.into(), fallback: None }
    }
}

/// Opens the device that was asked for.
pub fn open_device(choice: DeviceChoice) -> Result<OpenDevice, ModelError> {
    let cpu = || OpenDevice::new(Device::flex(), "CPU");
    match choice {
        DeviceChoice::Cpu => Ok(cpu()),
        DeviceChoice::Auto => Ok(gpu::open(false)
            .unwrap_or_else(|error| OpenDevice { fallback: Some(error.to_string()), ..cpu() })),
        DeviceChoice::Wgpu => gpu::open(true),
        DeviceChoice::Cuda => cuda(),
        DeviceChoice::Tch => tch(),
    }
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<OpenDevice, ModelError> {
    Ok(OpenDevice::new(Device::cuda(0), "first NVIDIA GPU (CUDA)"))
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<OpenDevice, ModelError> {
    Err(missing("cuda"))
}

#[cfg(feature = "tch")]
#[expect(
    deprecated,
    reason = "Burn means to replace this backend by its own, none of which trains as fast on CPUs"
)]
fn tch() -> Result<OpenDevice, ModelError> {
    Ok(OpenDevice::new(Device::libtorch(), "CPU (LibTorch)"))
}

#[cfg(not(feature = "tch"))]
fn tch() -> Result<OpenDevice, ModelError> {
    Err(missing("tch"))
}

#[cfg(not(all(feature = "wgpu", feature = "cuda", feature = "tch")))]
fn missing(feature: &str) -> ModelError {
    ModelError::Device(format!("this build lacks it; build with the feature `{feature}`"))
}

#[cfg(not(feature = "wgpu"))]
mod gpu {
    use super::*;

    pub fn open(_software: bool) -> Result<OpenDevice, ModelError> {
        Err(missing("wgpu"))
    }
}

#[cfg(feature = "wgpu")]
mod gpu {
    use std::task::{Context, Poll, Waker};

    use burn::tensor::DeviceKind;
    use burn::tensor::wgpu::wgpu::{Backends, DeviceType, Instance, InstanceDescriptor};

    use super::*;

    /// Opens the best adapter: a discrete GPU, an integrated or virtual one, or (if `software`) one that is emulated
    /// on the CPU.
    pub fn open(software: bool) -> Result<OpenDevice, ModelError> {
        let none = |what: &str| ModelError::Device(format!("{what}; --device cpu needs no driver"));
        let mut descriptor = InstanceDescriptor::new_without_display_handle();
        descriptor.backends = Backends::PRIMARY;
        let instance = Instance::new(descriptor);
        let Some(adapters) = at_once(instance.enumerate_adapters(Backends::PRIMARY)) else {
            return Err(none("the graphics driver did not list its adapters"));
        };
        let mut counts = [0_usize; 3];
        let mut candidates = Vec::new();
        for adapter in adapters {
            let info = adapter.get_info();
            let (rank, kind) = match info.device_type {
                DeviceType::DiscreteGpu => (0, DeviceKind::DiscreteGpu(next(&mut counts[0]))),
                DeviceType::IntegratedGpu => (1, DeviceKind::IntegratedGpu(next(&mut counts[1]))),
                DeviceType::VirtualGpu => (2, DeviceKind::VirtualGpu(next(&mut counts[2]))),
                DeviceType::Cpu => (3, DeviceKind::Cpu),
                DeviceType::Other => (4, DeviceKind::DefaultDevice),
            };
            candidates.push((rank, kind, info));
        }
        candidates.retain(|(rank, ..)| software || *rank < 3);
        candidates.sort_by_key(|(rank, ..)| *rank);
        let Some((_, kind, info)) = candidates.into_iter().next() else {
            return Err(none("no GPU was found (for wgpu, a Vulkan, Metal or DirectX 12 driver is needed)"));
        };
        let description = format!("{} ({:?}, {})", info.name, info.backend, info.driver);
        Ok(OpenDevice::new(Device::wgpu(kind), description))
    }

    /// What a future gives that never waits, as wgpu's enumeration does wherever it is not run by a browser.
    fn at_once<F: Future>(future: F) -> Option<F::Output> {
        let mut context = Context::from_waker(Waker::noop());
        match std::pin::pin!(future).poll(&mut context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    fn next(count: &mut usize) -> usize {
        *count += 1;
        *count - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for choice in DeviceChoice::ALL {
            assert_eq!(choice.name().parse(), Ok(choice));
        }
        assert!("gpu".parse::<DeviceChoice>().is_err());
    }

    #[test]
    fn auto_always_finds_something_and_says_what() {
        let device = open_device(DeviceChoice::Auto).unwrap();
        assert_eq!(device.description == "CPU", device.fallback.is_some(), "{device:?}");
    }
}
