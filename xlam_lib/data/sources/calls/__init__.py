"""Sources of questions with tools and the calls that answer them."""
