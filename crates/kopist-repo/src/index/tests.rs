use std::{collections::BTreeMap, sync::Arc};

use kopist_format::{
    id::ContentId,
    index::{Entry, IndexBuilder, wins},
};
use proptest::prelude::*;

use super::{ContentSet, IndexView, KeyRange, Segment};
use crate::cache::{IndexBytes, IndexFiles};

fn entry() -> impl Strategy<Value = Entry> {
    // Few ids, times and packs, so that indexes contradict each other.
    ("[gkm]?0[0-7]", 0_u32..4, 1_i64..4, any::<bool>()).prop_map(
        |(id, pack, timestamp, deleted)| Entry {
            id: id.parse().unwrap(),
            pack: format!("p{pack}").as_str().into(),
            offset: pack * 100,
            packed_length: 50,
            original_length: 22,
            timestamp,
            deleted,
            format_version: 3,
            compression: 0,
            encryption_key: 0,
        },
    )
}

fn segment(number: usize, entries: &[Entry]) -> Option<Arc<Segment>> {
    let mut builder = IndexBuilder::new();
    for entry in entries {
        builder.add(entry.clone());
    }
    let bytes = builder.build_stable(2).unwrap().pop()?;
    let name = format!("xn0_{number}");
    Some(Arc::new(Segment::parse(&name, IndexBytes::Owned(bytes), 28).unwrap()))
}

/// What the rules of the format say about all entries together.
fn model(indexes: &[Vec<Entry>], watermark: Option<i64>) -> BTreeMap<ContentId, Entry> {
    let mut model: BTreeMap<ContentId, Entry> = BTreeMap::new();
    for entry in indexes.iter().flatten() {
        match model.get(&entry.id) {
            Some(known) if !wins(&entry.as_ref(), &known.as_ref()).is_gt() => {}
            _ => drop(model.insert(entry.id, entry.clone())),
        }
    }
    model.retain(|_, e| !(e.deleted && watermark.is_some_and(|w| e.timestamp <= w)));
    model
}

proptest! {
    #[test]
    fn many_indexes_read_as_one(
        indexes in prop::collection::vec(prop::collection::vec(entry(), 0..20), 0..6),
        watermark in prop::option::of(0_i64..4),
        merge_them: bool,
    ) {
        let mut segments: Vec<_> =
            indexes.iter().enumerate().filter_map(|(n, entries)| segment(n, entries)).collect();
        if merge_them && !segments.is_empty() {
            segments = vec![Arc::new(Segment::merge(&segments, None).unwrap().unwrap())];
        }
        let view = IndexView::new(segments, watermark, 1);
        let model = model(&indexes, watermark);

        for text in ["00", "03", "07", "k00", "m05", "g02", "0102030405060708"] {
            let id: ContentId = text.parse().unwrap();
            let found = view.find(&id).unwrap();
            prop_assert_eq!(found.as_ref().map(|(_, e)| e.to_entry()), model.get(&id).cloned());
        }
        let mut set = ContentSet::new(&view);
        for range in [KeyRange::all(), KeyRange::prefix('k'), KeyRange::prefixed(),
            KeyRange::unprefixed(), KeyRange::text_prefix("m0").unwrap()]
        {
            let listed: Vec<Entry> =
                view.entries(&range).map(|e| e.unwrap().1.to_entry()).collect();
            let expected: Vec<Entry> =
                model.values().filter(|e| range.contains(e.id.key())).cloned().collect();
            prop_assert_eq!(listed, expected);
        }
        for found in view.entries(&KeyRange::all()) {
            let (ordinal, entry) = found.unwrap();
            prop_assert_eq!(view.find(&entry.id).unwrap().unwrap().0, ordinal);
            prop_assert!(ordinal < view.ordinals() && set.insert(ordinal));
        }
        prop_assert_eq!(set.len(), model.len() as u64);
    }
}

#[test]
fn a_large_merged_index_lies_in_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let files = IndexFiles::new(dir.path().to_owned(), 0);
    let entries = |first: u32| -> Vec<Entry> {
        (first..first + 80_000)
            .map(|n| Entry {
                id: format!("{:032x}", u128::from(n) << 90).parse().unwrap(),
                pack: "p0".into(),
                offset: n,
                packed_length: 50,
                original_length: 22,
                timestamp: i64::from(first),
                deleted: false,
                format_version: 3,
                compression: 0,
                encryption_key: 0,
            })
            .collect()
    };
    let segments: Vec<_> = [0, 50_000]
        .into_iter()
        .enumerate()
        .filter_map(|(number, first)| segment(number, &entries(first)))
        .collect();
    let merged = Segment::merge(&segments, Some(&files)).unwrap().unwrap();
    assert_eq!(merged.index.len(), 130_000);
    let name = merged.file.clone().unwrap();
    assert!(dir.path().join(&name).is_file());
    // Again it is only opened; in another cache it is made again, with the same bytes.
    let again = Segment::merge(&segments, Some(&files)).unwrap().unwrap();
    let other = tempfile::tempdir().unwrap();
    let files = IndexFiles::new(other.path().to_owned(), 0);
    let anew = Segment::merge(&segments, Some(&files)).unwrap().unwrap();
    for position in [0, 49_999, 50_000, 129_999] {
        let expected = merged.at(position).unwrap();
        assert_eq!(expected.timestamp, if position < 50_000 { 0 } else { 50_000 });
        assert_eq!(again.at(position).unwrap(), expected);
        assert_eq!(anew.at(position).unwrap(), expected);
    }
}
