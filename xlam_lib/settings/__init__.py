"""Settings of a run: dataclasses whose fields are the options of a command line, or keys of a YAML file."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "command_line": ["from_command_line", "planned", "to_arguments"],
        "options": ["COUNT", "NOT_NEGATIVE", "POSITIVE", "SEED", "SHARE", "Range", "current", "option", "renamed"],
        "yaml_files": ["YamlError", "parse_yaml", "read_yaml"],
    },
)
