//! The classes that both ends know, and how those of published segmentation networks map to them.
//!
//! One set for street scenes and for anything else, small enough for a label of four bits: what people look at, what moves,
//! and what surrounds it. What no network knows is [`OTHER`], and an analysis cuts it by colour instead.

/// A class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Class {
    /// Its name, as `--keep` takes it.
    pub name: &'static str,
    /// Red, green and blue on pictures of labels.
    pub colour: [u8; 3],
    /// How much more than the mean it matters to people: a factor on saliency.
    pub prior: f32,
}

/// Nothing is known of it.
pub const OTHER: u8 = 0;
/// Number of classes.
pub const COUNT: usize = 15;

const fn class(name: &'static str, colour: [u8; 3], prior: f32) -> Class {
    Class { name, colour, prior }
}

/// All classes, by number. The priors are ours, not measured: people, then animals and vehicles, then signs, over what
/// surrounds them, over road and sky.
pub const CLASSES: [Class; COUNT] = [
    class("other", [96, 96, 96], 1.0),
    class("person", [220, 20, 60], 3.0),
    class("animal", [255, 140, 0], 2.5),
    class("car", [0, 0, 142], 2.0),
    class("truck", [0, 60, 100], 2.0),
    class("cycle", [119, 11, 32], 2.5),
    class("craft", [0, 128, 192], 2.0),
    class("furniture", [140, 100, 60], 1.0),
    class("object", [190, 153, 250], 1.3),
    class("building", [70, 70, 70], 1.0),
    class("road", [128, 64, 128], 0.4),
    class("pavement", [244, 35, 232], 0.5),
    class("vegetation", [107, 142, 35], 0.7),
    class("sky", [70, 130, 180], 0.3),
    class("sign", [220, 220, 0], 1.5),
];

/// Names for several classes.
const GROUPS: [(&str, &[u8]); 2] = [("vehicle", &[3, 4, 5, 6]), ("street", &[10, 11])];

/// The classes of a name: one, or those of a group; none if there is no such name.
pub fn find(name: &str) -> Option<Vec<u8>> {
    let one = CLASSES.iter().position(|class| class.name == name);
    let group = || GROUPS.iter().find(|(group, _)| *group == name).map(|(_, classes)| classes.to_vec());
    one.map(|number| vec![number as u8]).or_else(group)
}

/// All names that [`find`] knows, for messages.
pub fn names() -> String {
    let all = CLASSES.iter().map(|class| class.name).chain(GROUPS.iter().map(|(name, _)| *name));
    all.collect::<Vec<_>>().join(", ")
}

/// The name of a class; of numbers beyond the last, that of [`OTHER`].
pub fn name(class: u8) -> &'static str {
    CLASSES.get(usize::from(class)).unwrap_or(&CLASSES[0]).name
}

/// CamVid's eleven and void: sky, building, pole, road, pavement, tree, sign, fence, car, pedestrian, cyclist.
pub const CAMVID: [u8; 12] = [13, 9, 14, 10, 11, 12, 14, 9, 3, 1, 5, 0];

/// Cityscapes' nineteen and background: road, pavement, building, wall, fence, pole, light, sign, vegetation, terrain, sky,
/// person, rider, car, truck, bus, train, motorcycle, bicycle.
pub const CITYSCAPES: [u8; 20] = [10, 11, 9, 9, 9, 14, 14, 14, 12, 12, 13, 1, 1, 3, 4, 4, 4, 5, 5, 0];

/// Pascal VOC's background and twenty: aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, table, dog, horse,
/// motorbike, person, plant, sheep, sofa, train, screen.
pub const PASCAL: [u8; 21] = [0, 6, 5, 2, 6, 8, 4, 3, 2, 7, 2, 7, 2, 2, 5, 1, 12, 2, 7, 4, 8];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_mean_one_thing() {
        for (number, class) in CLASSES.iter().enumerate() {
            assert_eq!(find(class.name), Some(vec![number as u8]));
            assert!(names().contains(class.name));
            assert_eq!(name(number as u8), class.name);
        }
        assert_eq!(find("vehicle"), Some(vec![3, 4, 5, 6]));
        assert_eq!(find("unicorn"), None);
        assert_eq!(name(200), "other");
    }

    #[test]
    fn maps_lead_to_classes() {
        for class in CAMVID.iter().chain(&CITYSCAPES).chain(&PASCAL) {
            assert!(usize::from(*class) < COUNT);
        }
    }
}
