"""The executable tools of the embedded data, by domain; `xlam_lib.data.apigen.library` collects them."""
