"""Tries: sequences that share beginnings, read once, with gradients equal to separate reading (notebooks 02, 06)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attention": ["use_causal_blocks"],
        "grouping": ["tries_of"],
        "packers": ["Packer", "PaddedPacker", "TriePacker"],
        "trie": ["Trie"],
        "trie_model": ["TrieRow", "collate_rows", "read_tries"],
    },
)
