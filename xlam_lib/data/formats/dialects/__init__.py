"""Calls that stand as text in what an assistant says, as chat templates of many models write them (notebook 01)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"bare": ["with_bare_calls"], "bodies": ["calls_of_body"], "marks": ["split_calls"]},
)
