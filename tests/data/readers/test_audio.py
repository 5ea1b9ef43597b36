"""WAV files of every sample format give the same samples; folders of them have classes."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.io import wavfile

from dlm import UsageError
from dlm.data.readers.audio import read_audio
from dlm.data.readers.read import read_folder
from dlm.data.readers.tables import columns_of_table

RATE = 8000
TONE = np.sin(2 * np.pi * 440 * np.arange(800) / RATE) * 0.5


def save(path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, samples)
    return path


def save_24_bits(path, wave):
    whole = np.rint(wave * 2**23).astype("<i4")
    data = whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    header = np.array([16, (1 | 1 << 16), RATE, RATE * 3, 3 | 24 << 16], "<u4").tobytes()
    body = b"WAVEfmt " + header + b"data" + np.uint32(len(data)).tobytes() + data
    path.write_bytes(b"RIFF" + np.uint32(len(body)).tobytes() + body)
    return path


def int16(wave):
    return np.rint(wave * 32768).astype(np.int16)


def has_remark(remarks, *words):
    return any(all(word in remark for word in words) for remark in remarks)


@pytest.mark.parametrize(
    ("samples", "within"),
    [
        (int16(TONE), 0),
        (np.rint(TONE * 2**31).astype(np.int32), 1),
        (TONE.astype(np.float32), 1),
        (TONE, 1),
        (np.rint(TONE * 128 + 128).astype(np.uint8), 129),
    ],
    ids=["int16", "int32", "float32", "float64", "uint8"],
)
def test_every_sample_format_gives_the_same_samples(tmp_path, samples, within):
    column, readable, remarks = read_audio([save(tmp_path / "a.wav", samples)])
    assert (column.kind, column.rate, readable.tolist(), remarks) == ("audio", RATE, [True], ())
    assert column.values[0].dtype == np.int16
    assert np.abs(column.values[0].astype(int) - int16(TONE)).max() <= within


def test_24_bits_give_the_same_samples(tmp_path):
    column, _, _ = read_audio([save_24_bits(tmp_path / "a.wav", TONE)])
    assert np.abs(column.values[0].astype(int) - int16(TONE)).max() <= 1


@pytest.mark.parametrize(
    "samples",
    [
        np.array([-3.0, 0, 1.5, 3.0], np.float32),
        np.array([-12_000.0, 0, 6000.0, 12_000.0], np.float32),
        np.array([-12_000, 0, 6000, 12_000], np.int32),
        np.array([-1e-5, 0, 0.5e-5, 1e-5], np.float32),
    ],
    ids=["above one", "16 bits as floats", "16 bits as 32", "quiet"],
)
def test_samples_in_another_unit_keep_their_shape_with_a_remark(tmp_path, samples):
    column, _, remarks = read_audio([save(tmp_path / "a.wav", samples)])
    assert column.values[0].tolist() == [-32768, 0, 16384, 32767]
    assert has_remark(remarks, "1 of 1 sounds", "scaled to full range")


def test_channels_are_averaged_with_a_remark(tmp_path):
    paths = [
        save(tmp_path / "a.wav", np.stack([int16(TONE), int16(-TONE)], axis=1)),
        save(tmp_path / "b.wav", int16(TONE)),
    ]
    column, _, remarks = read_audio(paths)
    assert not column.values[0].any()
    assert has_remark(remarks, "1 of 2 sounds have several channels")


def test_sounds_are_resampled_to_the_most_frequent_rate(tmp_path):
    fine = np.sin(2 * np.pi * 440 * np.arange(1600) / (2 * RATE)) * 0.5
    paths = [save(tmp_path / f"{k}.wav", int16(TONE)) for k in range(2)]
    column, _, remarks = read_audio([*paths, save(tmp_path / "fine.wav", int16(fine), 2 * RATE)])
    assert (column.rate, len(column.values[2])) == (RATE, 800)
    assert np.abs(column.values[2].astype(int) - int16(TONE))[50:-50].max() < 100
    assert has_remark(remarks, "1 of 3 sounds (16,000 Hz) are resampled to 8,000 Hz")


def test_folders_are_classes_and_lengths_may_differ(tmp_path):
    for label, count in (("yes", 3), ("no", 2)):
        for k in range(count):
            save(tmp_path / label / f"{k}.wav", int16(TONE)[: 100 + k])
    (tmp_path / "no" / "song.mp3").write_bytes(b"ID3")
    found = read_folder(tmp_path, kind="sounds")
    assert found.columns["label"].names == ("no", "yes")
    assert found.columns["label"].values.tolist() == [0, 0, 1, 1, 1]
    assert found.columns["audio"].values.shapes[:, 0].tolist() == [100, 101, 100, 101, 102]
    assert has_remark(found.remarks, "Skipped other files: 1", "song.mp3")


def test_a_few_unreadable_sounds_are_dropped_and_many_are_a_usage_error(tmp_path):
    paths = [save(tmp_path / f"{k:02}.wav", int16(TONE)) for k in range(40)]
    paths[7].write_bytes(paths[7].read_bytes()[:20])
    save(paths[8], np.zeros(0, np.int16))
    _, readable, remarks = read_audio(paths)
    assert np.flatnonzero(~readable).tolist() == [7, 8]
    assert has_remark(remarks, "Dropped unreadable sounds: 2, for example 07.wav")
    with pytest.raises(UsageError, match=r"2 of 9 sounds cannot be read, for example 07\.wav"):
        read_audio(paths[:9])


@pytest.mark.parametrize(("name", "words"), [("a.mp3", "ffmpeg"), ("a.wav", "not in class folders")])
def test_a_folder_without_classes_or_wav_files_is_a_usage_error(tmp_path, name, words):
    save(tmp_path / name, int16(TONE))
    with pytest.raises(UsageError, match=words):
        read_folder(tmp_path, kind="sounds")


def test_a_table_may_contain_encoded_sounds(tmp_path):
    rows = [{"bytes": save(tmp_path / f"{k}.wav", int16(TONE)[: 10 + k]).read_bytes(), "path": ""} for k in range(3)]
    columns, *_ = columns_of_table(pa.table({"audio": rows, "label": [0, 1, 0]}), "label")
    assert (columns["audio"].kind, columns["audio"].rate) == ("audio", RATE)
    assert np.array_equal(columns["audio"].values[2], int16(TONE)[:12])
