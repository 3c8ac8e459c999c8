"""JSON Schemas of tools: what their references point to, and values held against them without fetching anything."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "references": ["parameters_of", "pointed", "root_parts", "without_references"],
        "validator": ["SchemaLimit", "json_validator", "schema_fault"],
    },
)
