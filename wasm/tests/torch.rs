//! PyTorch checkpoints: archives of torch.save, hostile archives, hostile pickles.

mod reading;

use proptest::prelude::*;
use reading::{fixture, refused, table};
use skein_core::pickle::unpickle;

/// A zip archive of stored files, as torch.save writes them.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in files {
        let header = bytes.len() as u32;
        let size = (data.len() as u32).to_le_bytes();
        bytes.extend(b"PK\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00");
        bytes.extend([size, size].concat());
        bytes.extend([(name.len() as u16).to_le_bytes(), [0, 0]].concat());
        bytes.extend(name.as_bytes());
        bytes.extend(*data);
        directory.extend(b"PK\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00");
        directory.extend([size, size].concat());
        directory.extend([(name.len() as u16).to_le_bytes(), [0, 0], [0, 0], [0, 0], [0, 0]].concat());
        directory.extend([[0; 4], header.to_le_bytes()].concat());
        directory.extend(name.as_bytes());
    }
    let (count, offset) = ((files.len() as u16).to_le_bytes(), bytes.len() as u32);
    let size = directory.len() as u32;
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\x00\x00\x00\x00");
    bytes.extend([count, count].concat());
    bytes.extend([size.to_le_bytes(), offset.to_le_bytes()].concat());
    bytes.extend([0, 0]);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [b"X", (text.len() as u32).to_le_bytes().as_slice(), text.as_bytes()].concat()
}

/// The opcodes of a tensor in storage 0: four floats in `shape` with `stride` from `offset`.
fn tensor(storage: &str, elements: u8, offset: u8, shape: &[u8], stride: &[u8]) -> Vec<u8> {
    let tuple = |numbers: &[u8]| {
        let numbers: Vec<u8> = numbers.iter().flat_map(|number| [b'K', *number]).collect();
        [b"(".as_slice(), &numbers, b"t"].concat()
    };
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        format!("ctorch\n{storage}\n").into_bytes(),
        text("0"),
        text("cpu"),
        vec![b'K', elements],
        b"tQ".to_vec(),
        vec![b'K', offset],
        tuple(shape),
        tuple(stride),
        b"\x89ccollections\nOrderedDict\n)RtR".to_vec(),
    ]
    .concat()
}

/// A state dict `{"w": value}`.
fn state(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02}".to_vec(), text("w"), value.to_vec(), b"s.".to_vec()].concat()
}

fn archive(pickle: &[u8]) -> Vec<u8> {
    zip(&[("a/data.pkl", pickle), ("a/data/0", &[0; 16])])
}

#[test]
fn reads_what_torch_wrote() {
    let expected = fixture("tiny/storage_forms/safetensors_bf16/model.safetensors");
    let reference = table("safetensors", &expected).unwrap();
    let bytes = fixture("tiny/storage_forms/torch_bf16/pytorch_model.bin");
    let read = table("torch", &bytes).unwrap();
    for tensor in &reference.tensors {
        let other = read.tensors.iter().find(|other| other.name == tensor.name).expect(&tensor.name);
        assert_eq!((other.dtype, &other.shape), (tensor.dtype, &tensor.shape), "{}", tensor.name);
        assert_eq!(
            bytes[other.begin as usize..other.end as usize],
            expected[tensor.begin as usize..tensor.end as usize],
            "{}",
            tensor.name
        );
    }
}

#[test]
fn reads_views_parameters_and_nested_dicts() {
    let view = table("torch", &archive(&state(&tensor("FloatStorage", 4, 2, &[1, 2], &[9, 1])))).unwrap();
    let whole = table("torch", &archive(&state(&tensor("FloatStorage", 4, 0, &[2, 2], &[2, 1])))).unwrap();
    assert_eq!(view.tensors[0].begin, whole.tensors[0].begin + 8);
    assert_eq!((view.tensors[0].end, view.tensors[0].shape.clone()), (whole.tensors[0].end, vec![1, 2]));

    let inner = tensor("FloatStorage", 4, 0, &[4], &[1]);
    let parameter = [b"ctorch._utils\n_rebuild_parameter\n(".as_slice(), &inner, b"\x88}tR"].concat();
    assert_eq!(table("torch", &archive(&state(&parameter))).unwrap().tensors[0].name, "w");

    let nested = |key: &str| {
        let dict = [b"}".to_vec(), text("w"), inner.clone(), b"s".to_vec()].concat();
        let pickle = [b"\x80\x04}".to_vec(), text(key), dict, b"s.".to_vec()].concat();
        table("torch", &archive(&pickle)).unwrap().tensors[0].name.clone()
    };
    assert_eq!(nested("model"), "model.w");
    assert_eq!(nested("state_dict"), "w");
}

#[test]
fn refuses_pickles_that_do_anything() {
    let names = [
        "os\nsystem",
        "builtins\neval",
        "torch\nload",
        "torch.storage\n_load_from_bytes",
        "collections\nCounter",
        "__builtin__\ngetattr",
    ];
    for name in names {
        let call = [format!("c{name}\n(").into_bytes(), text("true"), b"tR".to_vec()].concat();
        let (code, message) = refused("torch", &archive(&state(&call)));
        assert_eq!(code, "Forbidden");
        assert!(message.contains(&name.replace('\n', ".")), "{message}");
    }
    let stacked = [text("posix"), text("system"), b"\x93".to_vec()].concat();
    assert_eq!(refused("torch", &archive(&state(&stacked))).0, "Forbidden");
    // NEWOBJ, INST, OBJ, EXT1, NEXT_BUFFER, LONG4, text numbers
    for opcode in [0x81u8, b'i', b'o', 0x82, 0x97, 0x8b, b'I', b'S', b'V', b'P'] {
        assert_eq!(refused("torch", &archive(&state(&[opcode, 1, 1, b'\n']))).0, "Forbidden", "{opcode:#x}");
    }
    assert_eq!(refused("torch", &archive(&state(b"ctorch\nFloatStorage\n)R"))).0, "Forbidden");
    assert_eq!(refused("torch", &archive(&state(b"NN)R"))).0, "Forbidden");
    assert_eq!(refused("torch", &archive(&state(b"](}b"))).0, "Malformed");
    assert_eq!(refused("torch", &archive(&state(b"]}b"))).0, "Forbidden");
}

#[test]
fn refuses_broken_pickles() {
    for pickle in [
        b"".as_slice(),
        b"\x80",
        b"\x80\x02",
        b"\x80\x02.",
        b"\x80\x02}",
        b"\x80\x02(.",
        b"\x80\x02(t",
        b"h\x00.",
        b"X\xff\xff\xff\xff.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x80\x02}s.",
        b"\x80\x02}(Nu.",
        b"\x80\x02]Ns.",
        b"\x80\x02}Na.",
        b"\x80\x02K.",
        b"cos",
        b"\x80\x02X\x02\x00\x00\x00\xff\xff.",
        b"\x80\x02\x8a\x09123456789.",
        b"\x80\x02q\x00.",
        b"\x80\x02KQ.",
        b"\x80\x02)Q.",
    ] {
        let code = refused("torch", &archive(pickle)).0;
        assert!(["Truncated", "Malformed", "Forbidden"].contains(&code), "{pickle:?}: {code}");
    }
    assert_eq!(refused("torch", &archive(b"\x80\x01}.")).0, "Unsupported");
    assert_eq!(refused("torch", &archive(b"\x80\x06}.")).0, "Unsupported");
    assert_eq!(refused("torch", &archive(b"\x80\x02}.")).0, "Malformed");
    assert_eq!(refused("torch", &archive(b"\x80\x02K\x01.")).0, "Malformed");
}

#[test]
fn refuses_tensors_that_do_not_fit_their_storage() {
    let case = |storage, elements, offset, shape: &[u8], stride: &[u8]| {
        refused("torch", &archive(&state(&tensor(storage, elements, offset, shape, stride))))
    };
    let cases = [
        (case("FloatStorage", 4, 0, &[2, 2], &[1, 2]), "Unsupported", "not contiguous"),
        (case("FloatStorage", 4, 0, &[2, 2], &[4, 1]), "Unsupported", "not contiguous"),
        (case("FloatStorage", 4, 0, &[2], &[0]), "Unsupported", "not contiguous"),
        (case("FloatStorage", 4, 3, &[2], &[1]), "OutOfRange", "element 3"),
        (case("FloatStorage", 4, 0, &[5], &[1]), "OutOfRange", "5 elements"),
        (case("FloatStorage", 5, 0, &[4], &[1]), "Malformed", "5 elements"),
        (case("HalfStorage", 4, 0, &[4], &[1]), "Malformed", "16 bytes"),
        (case("FloatStorage", 4, 0, &[4], &[1, 1]), "Malformed", "tensor"),
        (case("ComplexFloatStorage", 2, 0, &[2], &[1]), "Forbidden", "ComplexFloatStorage"),
        (case("FloatStorage", 4, 0, &[255; 16], &[1; 16]), "TooLarge", "overflows"),
    ];
    for ((code, message), expected, part) in cases {
        assert_eq!(code, expected, "{message}");
        assert!(message.contains(part), "{message:?} does not tell {part:?}");
    }
}

#[test]
fn refuses_archives_that_are_not_checkpoints() {
    let pickle = state(&tensor("FloatStorage", 4, 0, &[4], &[1]));
    let stored = [0u8; 16];
    let cases: [(Vec<u8>, &str, &str); 8] = [
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19............".to_vec(), "Unsupported", "before 1.6"),
        (vec![0; 100], "Malformed", "zip archive"),
        ([b"PK\x03\x04".as_slice(), &[0; 100]].concat(), "Malformed", "end record"),
        (zip(&[("a/other", &stored)]), "Malformed", "data.pkl"),
        (zip(&[("a/data.pkl", &pickle), ("b/data.pkl", &pickle)]), "Malformed", "data.pkl"),
        (zip(&[("a/data.pkl", &pickle)]), "Malformed", "a/data/0"),
        (
            zip(&[("a/data.pkl", &pickle), ("a/data/0", &stored), ("a/constants.pkl", &pickle)]),
            "Unsupported",
            "TorchScript",
        ),
        (zip(&[("a/data.pkl", &pickle), ("a/data/0", &stored), ("a/byteorder", b"big")]), "Unsupported", "big"),
    ];
    for (bytes, expected, part) in cases {
        let (code, message) = refused("torch", &bytes);
        assert_eq!(code, expected, "{message}");
        assert!(message.contains(part), "{message:?} does not tell {part:?}");
    }
}

#[test]
fn refuses_archives_that_lie() {
    let good = archive(&state(&tensor("FloatStorage", 4, 0, &[4], &[1])));
    assert!(table("torch", &good).is_ok());
    let at = |needle: &[u8], nth: usize| {
        good.windows(needle.len()).enumerate().filter(|(_, window)| *window == needle).nth(nth).unwrap().0
    };
    let changed = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        refused("torch", &changed).0
    };
    let (entry, local, end) = (at(b"PK\x01\x02", 0), at(b"PK\x03\x04", 1), at(b"PK\x05\x06", 0));
    assert_eq!(changed(entry + 8, &[1]), "Unsupported", "encrypted");
    assert_eq!(changed(entry + 10, &[8]), "Unsupported", "deflated");
    assert_eq!(changed(entry + 20, &[9]), "Unsupported", "two sizes");
    assert_eq!(changed(entry + 42, &[0xff, 0xff, 0xff, 0x7f]), "OutOfRange", "local header outside");
    assert_eq!(changed(entry + 46, b"\xff"), "Malformed", "name is not UTF-8");
    assert_eq!(changed(local + 8, &[8]), "Malformed", "local header says deflated");
    assert_eq!(changed(local + 28, &[0xff, 0xff]), "Truncated", "data behind the directory");
    assert_eq!(changed(local + 30, b"x"), "Malformed", "another name");
    assert_eq!(changed(end + 10, &[9]), "Truncated", "more entries than there are");
    assert_eq!(changed(end + 10, &[1]), "Malformed", "fewer entries than there are");
    assert_eq!(changed(end + 12, &[0xff, 0xff, 0xff, 0x7f]), "TooLarge", "directory size");
    assert_eq!(changed(end + 16, &[0xff, 0xff, 0xff, 0x7f]), "OutOfRange", "directory offset");
    assert_eq!(changed(end + 16, &[0xff; 4]), "Malformed", "no zip64 locator");
}

#[test]
fn refuses_storages_that_share_bytes() {
    let first = tensor("FloatStorage", 4, 0, &[4], &[1]);
    let zero = text("0");
    let place = first.windows(zero.len()).position(|window| window == zero).unwrap();
    let mut second = first.clone();
    second[place + 5] = b'1';
    let pickle = [b"\x80\x02}".to_vec(), text("a"), first, b"s".to_vec(), text("b"), second, b"s.".to_vec()].concat();
    let mut bytes = zip(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 16]), ("a/data/1", &[0; 16])]);
    assert_eq!(table("torch", &bytes).unwrap().tensors.len(), 2);
    // The second local header moves its data back by claiming a shorter name would need equal names, so the first
    // moves forward with an extra field instead.
    let local = bytes.windows(4).enumerate().filter(|(_, window)| *window == b"PK\x03\x04").nth(1).unwrap().0;
    bytes[local + 28] = 40;
    assert_eq!(refused("torch", &bytes).0, "Overlap");
}

#[test]
fn is_bounded_on_pickles_that_repeat() {
    // 100,000 pairs remembered once, then copied by a two-byte opcode again and again.
    let pairs: Vec<u8> = std::iter::repeat_n(b"NN\x86".as_slice(), 100_000).flatten().copied().collect();
    let repeat = b"ccollections\nOrderedDict\nh\x00\x85R0".repeat(2000);
    let pickle = [b"\x80\x02](".as_slice(), &pairs, b"eq\x00", &repeat, b"."].concat();
    assert_eq!(unpickle(&pickle).err().unwrap().code(), "TooLarge");
    let many = [b"\x80\x02".to_vec(), vec![b')'; 3_000_000], b".".to_vec()].concat();
    assert_eq!(unpickle(&many).err().unwrap().code(), "TooLarge");
}

#[test]
fn ends_on_dicts_that_hold_themselves() {
    let pickle = [b"\x80\x02}q\x00".to_vec(), text("x"), b"h\x00s.".to_vec()].concat();
    assert_eq!(refused("torch", &archive(&pickle)).0, "TooLarge");
    let wrapped = [b"\x80\x02}q\x00".to_vec(), text("module"), b"h\x00s.".to_vec()].concat();
    assert_eq!(refused("torch", &archive(&wrapped)).0, "TooLarge");
}

proptest! {
    #[test]
    fn survives_any_pickle(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = unpickle(&bytes);
        let _ = table("torch", &archive(&bytes));
    }

    #[test]
    fn survives_opcodes(opcodes in prop::collection::vec(prop::sample::select(b"()]}NK\x85\x86tqhaesuRQb0.X\x8c\x93c".to_vec()), 0..60)) {
        let _ = unpickle(&opcodes);
    }

    #[test]
    fn survives_damage(at in 0usize..1000, value in any::<u8>(), length in 0usize..1000) {
        let mut bytes = archive(&state(&tensor("FloatStorage", 4, 0, &[4], &[1])));
        let at = at % bytes.len();
        bytes[at] = value;
        bytes.truncate(if length < bytes.len() { length } else { bytes.len() });
        let _ = table("torch", &bytes);
    }
}
