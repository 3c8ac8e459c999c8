"""WebShop: a shop in which a product is searched for, chosen and bought (Yao et al. 2022, arXiv:2207.01206).

`WebShop` is the environment; `Catalogue` holds products and goals, the original's (`load`) or those that lie here
(`embedded`); `reward` scores a purchase; a `Layout` says how pages become texts. Used by `bench/tasks/webshop.py`
(notebook 05). Example: `WebShop(load("data/webshop"), BOLAA).reset(WebShop.task(goal))`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "catalogue": ["Catalogue", "CatalogueError", "Goal", "Product", "embedded", "load"],
        "environment": ["SessionError", "WebShop"],
        "pages": ["BOLAA", "REACT", "RICH", "SIMPLE", "Layout"],
        "reward": ["Reward"],
        "search": ["SearchEngine", "embedded_engine"],
    },
)
