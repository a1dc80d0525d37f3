"""Multi30k (Elliott et al., 2016): sentences about pictures, in English, German and French, line by line the same."""

import gzip
import zlib
from typing import Literal

from rlsuite.supervised.data.files import DataFile, find

Language = Literal["en", "de", "fr"]
Part = Literal["train", "val", "test_2016_flickr"]

_ADDRESS = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/"
_SHA256 = {
    "train.de": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "train.en": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "train.fr": "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c",
    "val.de": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "val.en": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "val.fr": "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9",
    "test_2016_flickr.de": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2016_flickr.en": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "test_2016_flickr.fr": "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90",
}
MULTI30K = {name: DataFile(f"multi30k/{name}.gz", sha256, [f"{_ADDRESS}{name}.gz"]) for name, sha256 in _SHA256.items()}


def sentences(language: Language, part: Part) -> list[str]:
    """The raw sentences of a part (29,000, 1,014 and 1,000), in the same order in every language.

    Raises:
        ValueError: neither at hand nor to be downloaded, or damaged.
    """
    path = find(MULTI30K[f"{part}.{language}"])
    try:
        return gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()
    except (OSError, EOFError, ValueError, zlib.error):
        raise ValueError(f"{path} is damaged: remove it, and run this again") from None
