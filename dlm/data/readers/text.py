"""Plain text files as columns: a folder of documents, by class or not, or one file with a document a line."""

from __future__ import annotations

from pathlib import Path

from dlm.data.columns import Column, texts
from dlm.data.readers.folders import classes, counts, tree
from dlm.data.readers.paths import about, check_fits, text_of
from dlm.data.readers.user_dataset import Found
from dlm.utils.errors import UsageError

ENDINGS = (".txt", ".text")


def read_documents(folder: Path) -> Found:
    """A folder of .txt files, a document each: columns text and, where they stand in folders of classes, label.

    UsageError for a file that is no UTF-8, with the first byte that is wrong.
    """
    found = tree(folder, ENDINGS)
    if not found.files:
        raise UsageError(f"holds no texts; their names end in {', '.join(ENDINGS)}")
    check_fits(sum(file.path.stat().st_size for file in found.files), "take fewer documents")
    documents = []
    for file in found.files:
        with about(file.path.relative_to(folder)):
            documents.append(text_of(file.path).strip())
    full = [k for k, document in enumerate(documents) if document]
    empty = len(documents) - len(full)
    told = (f"Empty documents are left out: {empty:,}.",) if empty else ()
    columns = {"text": Column(texts([documents[k] for k in full]), "text")}
    target = "label" if found.files[0].label else ""
    if target:
        columns["label"] = classes([found.files[k].label for k in full])
    return Found(columns, counts(found.files[k].split for k in full), target, (*found.remarks, *told))


def read_lines(path: Path) -> Found:
    """A text file, a document a line, without labels: the column text."""
    check_fits(path.stat().st_size, "take a part of it")
    lines = [line.strip() for line in text_of(path).splitlines()]
    full = [line for line in lines if line]
    empty = len(lines) - len(full)
    told = (f"Each line is a document: {len(full):,}.", *([f"Blank lines are left out: {empty:,}."] if empty else []))
    return Found({"text": Column(texts(full), "text")}, {"all": len(full)}, "", told)
