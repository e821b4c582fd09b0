//! Training of the paper's network (see [`crate::vscc`]): one loss, one SNR.
//!
//! Pictures are less their mean colour, as everywhere in this crate.

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use semcast_common::content::Picture;

use super::TrainingError;
use super::pictures::{Crops, GROUP, Pictures};
use super::run::psnr_db;
use super::task::{Figure, Outcome, Task};
use crate::ae::weights;
use crate::vscc::losses::{Method, loss};
use crate::vscc::network::{PaperNetwork, REDUCTION, Scale};
use crate::vscc::transmission::{Testing, pass, receive};

/// The paper's network, as it is trained.
#[derive(Clone, Debug)]
pub struct Paper {
    method: Method,
    snr_db: (f32, f32),
    scale: Scale,
    batch: usize,
    crop: usize,
}

/// Crops, and what happens to them.
pub struct Batch {
    crops: Crops,
    snr_db: f32,
    seed: u64,
}

impl Paper {
    /// With a loss, an SNR in dB drawn anew at every step between two, which may be one, a scale, `batch` crops a step (a
    /// multiple of two) of `crop` pixels (a multiple of 16).
    pub fn new(
        method: Method,
        snr_db: (f32, f32),
        scale: Scale,
        batch: usize,
        crop: usize,
    ) -> Result<Self, TrainingError> {
        let wrong = |message: String| Err(TrainingError::Setting(message));
        if batch == 0 || !batch.is_multiple_of(GROUP) {
            return wrong(format!("{batch} crops a step: must be a multiple of {GROUP}, at least {GROUP}"));
        }
        if !(32..=1024).contains(&crop) || !crop.is_multiple_of(REDUCTION) {
            return wrong(format!("crops of {crop} pixels: must be a multiple of {REDUCTION}, 32 to 1024"));
        }
        if !(-20.0..=60.0).contains(&snr_db.0) || !(snr_db.0..=60.0).contains(&snr_db.1) {
            return wrong(format!("SNR of {} to {} dB: must be −20 to 60, rising", snr_db.0, snr_db.1));
        }
        method.check().map_err(TrainingError::Setting)?;
        Ok(Self { method, snr_db, scale, batch, crop })
    }

    /// How the network is tested unless something else is asked for.
    pub fn testing(&self) -> Testing {
        if self.method.is_variational() { Testing::Fixed } else { Testing::Direct }
    }
}

/// The crops of a batch.
pub fn tensor(crops: &Crops, device: &Device) -> Tensor<4> {
    let shape = [crops.groups * GROUP, 3, crops.side, crops.side];
    Tensor::from_data(TensorData::new(crops.values.clone(), shape), device)
}

impl Task for Paper {
    type Network = PaperNetwork;
    type Batch = Batch;

    fn name(&self) -> &str {
        self.method.name()
    }

    fn describe(&self) -> String {
        format!(
            "{} trained for {} to {} dB, at the paper's width divided by {}.",
            self.method.describe("The network of Feng et al., Variational Source-Channel Coding, Fig. 5,"),
            self.snr_db.0,
            self.snr_db.1,
            self.scale.divisor()
        )
    }

    fn least_side(&self) -> usize {
        self.crop
    }

    fn crops(&self) -> usize {
        self.batch
    }

    fn start(&self, _: &Pictures, seed: u64, device: &Device) -> Result<PaperNetwork, TrainingError> {
        device.seed(seed);
        Ok(PaperNetwork::new(self.scale, device))
    }

    fn batch(&self, pictures: &Pictures, rng: &mut StdRng) -> Batch {
        let crops = pictures.crops(self.batch / GROUP, self.crop, rng);
        let (least, most) = self.snr_db;
        Batch { crops, snr_db: least + (most - least) * rng.random::<f32>(), seed: rng.random() }
    }

    fn run(&self, network: &PaperNetwork, batch: &Batch, device: &Device) -> Outcome {
        let pictures = tensor(&batch.crops, device);
        let values = pictures.dims().iter().product();
        let mut rng = StdRng::seed_from_u64(batch.seed);
        let passed = pass(network, pictures.clone(), self.method, batch.snr_db, &mut rng);
        let errors = (passed.arrived - pictures).square().mean();
        let whole = loss(errors.clone(), passed.divergence, values);
        let loss = match passed.knowledge {
            Some(knowledge) => whole + knowledge,
            None => whole,
        };
        Outcome { loss, errors }
    }

    fn validate(&self, network: &PaperNetwork, pictures: &Pictures, device: &Device) -> Vec<Figure> {
        let crops = tensor(&pictures.validation_crops(self.crop), device);
        let snr_db = (self.snr_db.0 + self.snr_db.1) / 2.0;
        let mut rng = StdRng::seed_from_u64(7);
        let received = receive(network, crops.clone(), self.testing(), snr_db, &mut rng);
        let arrived = network.decoder.forward(received.draw(&mut rng));
        let [count, planes, height, width] = crops.dims();
        let squares = (arrived - crops).square().reshape([count, planes * height * width]).mean_dim(1);
        let errors: Vec<f32> = squares.into_data().iter::<f32>().collect();
        vec![(format!("psnr_db_{snr_db}"), psnr_db(&errors))]
    }

    fn strip(&self, network: &PaperNetwork, pictures: &Pictures, device: &Device) -> Option<Picture> {
        let crops = pictures.validation_crops(self.crop);
        let shown = tensor(&crops, device);
        let mut rng = StdRng::seed_from_u64(7);
        let received = receive(network, shown.clone(), self.testing(), self.snr_db.1, &mut rng);
        let arrived = network.decoder.forward(received.draw(&mut rng));
        super::ae::strip::rows(&[crops.values, arrived.into_data().iter::<f32>().collect()], crops.side)
    }

    fn to_bytes(&self, network: &PaperNetwork) -> Result<Vec<u8>, String> {
        weights::to_bytes(network)
    }

    fn load(&self, bytes: Vec<u8>, device: &Device) -> Result<PaperNetwork, String> {
        weights::load(PaperNetwork::new(self.scale, device), bytes)
    }
}

#[cfg(test)]
mod tests {
    use semcast_common::content::file::encode_png;

    use super::super::{Options, train};
    use super::*;

    #[test]
    fn a_run_of_the_papers_network_leaves_weights_that_load() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("pictures")).unwrap();
        for index in 0..3_u32 {
            let rgb = (0..3 * 64 * 64_u32).map(|at| (at.wrapping_mul(index + 5) / 7 % 251) as u8).collect();
            let bytes = encode_png(&Picture::new(64, 64, rgb).unwrap()).unwrap();
            std::fs::write(folder.path().join(format!("pictures/{index}.png")), bytes).unwrap();
        }
        let task = Paper::new(Method::Vscc { d: 2.0 }, (5.0, 5.0), Scale::new(8).unwrap(), 2, 32).unwrap();
        let options = Options {
            data: vec![folder.path().join("pictures")],
            cache: None,
            out: folder.path().join("out"),
            steps: 4,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            seed: 1,
            from: None,
            resume: false,
            checkpoint_seconds: 1000,
            stop_after_seconds: None,
            command: "semcast train vscc --network paper".into(),
        };
        let device = Device::flex();
        let bytes = train(&task, &options, &device, &mut |_| ()).unwrap();
        assert_eq!(std::fs::read(options.out.join("vscc.safetensors")).unwrap(), bytes);
        assert!(options.out.join("strip.png").exists());
        let card = std::fs::read_to_string(options.out.join("vscc.md")).unwrap();
        assert!(card.contains("d = 2") && card.contains("psnr_db_5"), "{card}");
        task.load(bytes.clone(), &device).unwrap();
        let wider = Paper { scale: Scale::new(4).unwrap(), ..task };
        assert!(wider.load(bytes, &device).is_err(), "another width has other weights");
    }

    #[test]
    fn settings_that_make_no_sense_are_errors() {
        let scale = Scale::new(8).unwrap();
        let error = |method, snr_db, batch, crop| {
            Paper::new(method, snr_db, scale, batch, crop)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        assert!(error(Method::Vscc { d: 0.0 }, (0.0, 0.0), 2, 32).contains("0.01 to 1000"));
        assert!(error(Method::Ae, (0.0, 99.0), 2, 32).contains("−20 to 60"));
        assert!(error(Method::Ae, (0.0, 0.0), 3, 32).contains("multiple of 2"));
        assert!(error(Method::Ae, (0.0, 0.0), 2, 40).contains("multiple of 16"));
    }
}
