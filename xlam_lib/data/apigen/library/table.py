"""Executable tools for food, shopping and the library.

Each one runs, always with the same result for the same arguments. Notebook 01 shows some; `registry.py` lists all.
"""

from __future__ import annotations

from typing import Annotated, Literal

from xlam_lib.data.apigen.library import facts
from xlam_lib.data.apigen.library.spec import Domain
from xlam_lib.data.apigen.library.values import (
    POOLS,
    Code,
    Dish,
    Food,
    Product,
    Restaurant,
    Time,
    Title,
    several,
    whole,
)

food, shopping, library = Domain("food"), Domain("shopping"), Domain("library")


@food.tool(
    "(book|reserve|get me) a table< at {restaurant}>< for {guests} guests>< at {time}>",
    "(We need|I need|I would like) a table< at {restaurant}>< for {guests} guests>< at {time}>.",
    "We are {guests} guests and want a table< at {restaurant}>(, please book it.|.)",
    answer="Table {table} at {restaurant} is booked.",
)
def book_restaurant_table(restaurant: Restaurant, guests: Annotated[int, whole(2, 60)], time: Time = "") -> dict:
    """Book a table at a restaurant.

    restaurant: name of the restaurant
    guests: number of guests
    time: time of arrival
    """
    return {"table": facts.number(10, 99, restaurant, guests, time)}


@food.tool(
    "(find|show me|search|look up) a< {diet}> recipe< with {ingredient}>",
    "(Which|What)< {diet}> recipe can I cook< with {ingredient}>?",
    "I have {ingredient} at home, (find me a recipe with it.|which recipe uses it?)",
    answer="Try the recipe {recipe}.",
)
def find_recipe_by_ingredient(
    ingredient: Food, diet: Literal["vegan", "vegetarian", "spicy", "quick"] = "quick"
) -> dict:
    """Find a recipe with an ingredient.

    ingredient: main ingredient
    diet: kind of diet
    """
    return {
        "recipe": f"{facts.title(ingredient, diet)} {ingredient}",
        "minutes": facts.number(10, 90, ingredient, diet),
    }


@food.tool(
    "order {portions} portions of {dish}< from {restaurant}>",
    "(I want to|We would like to|Let us) order {portions} portions of {dish}< from {restaurant}>.",
    "(order|get me) {dish}, {portions} portions of it",
    answer="{portions} portions of {dish} are on the way.",
)
def order_dish_portions(dish: Dish, portions: Annotated[int, whole(2, 60)], restaurant: Restaurant = "") -> dict:
    """Order portions of a dish.

    dish: name of the dish
    portions: number of portions
    restaurant: name of the restaurant
    """
    return {"minutes": facts.number(15, 70, dish, portions, restaurant)}


@food.tool(
    "(count|compute|tell me|work out) the calories (of|in) {grams} grams of {food}",
    "How many calories (are in|have) {grams} grams of {food}?",
    "I (ate|had) {grams} grams of {food}, how many calories (is that|are these)?",
    answer="That is {calories} calories.",
)
def count_calories(food: Food, grams: Annotated[int, whole(20, 900)]) -> dict:
    """Count the calories of a food.

    food: name of the food
    grams: weight in grams
    """
    return {"calories": facts.number(20, 600, food) * grams // 100}


@shopping.tool(
    "(search|look|shop) for a {product}< under {max_price} dollars>",
    "(search|browse) the products for a {product}< under {max_price} dollars>",
    "I (am searching|would like you to search|want to search) the shop for a {product}< under {max_price} dollars>.",
    answer="Item {item} costs {price} dollars.",
)
def search_shop_product(product: Product, max_price: Annotated[int, whole(10, 900)] = 0) -> dict:
    """Search the shop for a product.

    product: name of the product
    max_price: highest price in dollars
    """
    return {"item": facts.code("item", product), "price": facts.number(5, max_price or 900, product)}


@shopping.tool(
    "(add {quantity} pieces of item {item} to|put {quantity} pieces of item {item} into) (the|my) cart",
    "(add item {item} to|put item {item} into) (the|my) cart< with quantity {quantity}>",
    "My cart needs item {item}, quantity {quantity}(, please add it.|.)",
    answer="The cart holds {quantity} pieces of {item}.",
)
def add_to_cart(item: Code, quantity: Annotated[int, whole(2, 90)]) -> dict:
    """Add an item to the shopping cart.

    item: code of the item
    quantity: number of pieces
    """
    return {"total": facts.number(3, 99, item) * quantity}


@shopping.tool(
    "(track|trace|follow) (my |the |)order {order}[ for me]",
    "(Where is|Can you track|How do I track) (my |the |)order {order}?",
    "My order {order} has not arrived, (please track it.|track it for me.)",
    answer="Order {order} is {status}.",
)
def track_shop_order(order: Code) -> dict:
    """Track an order of the shop.

    order: number of the order
    """
    return {"status": facts.pick(("packed", "shipped", "delivered", "lost"), order), "date": facts.date(order)}


@shopping.tool(
    '(write|post|publish|leave) a review< of item {item}>< with {stars} stars>< saying "{comment}">',
    'I (want|would like) to review item {item}< with {stars} stars>< and the comment "{comment}">.',
    answer="The review of {item} is online.",
)
def write_item_review(
    item: Code, stars: Annotated[int, whole(2, 10)], comment: Annotated[str, POOLS["sentence"]] = ""
) -> dict:
    """Write a review of an item.

    item: code of the item
    stars: number of stars
    comment: text of the comment
    """
    return {"review": facts.code("review", item, stars, comment)}


@library.tool(
    '(find|look up|search|get) the book "{title}"[ in the library]',
    '(Do you have|Is there|Where is) the book "{title}"[ in the library]?',
    '(find|look up) a book (called|named|with the title) "{title}"',
    answer="The book is on shelf {shelf}, its code is {book}.",
)
def find_book_by_title(title: Title) -> dict:
    """Find a book by its title.

    title: title of the book
    """
    return {"book": facts.code("book", title), "shelf": facts.number(10, 99, title)}


@library.tool(
    "borrow (the |)book {book}< for {days} days>",
    "(I want to|I would like to|May I) borrow (the |)book {book}< for {days} days>(.|, please.)",
    "(lend me|let me borrow) (the |)book {book}< for {days} days>",
    answer="Bring the book back on {due}.",
)
def borrow_book(book: Code, days: Annotated[int, whole(2, 90)]) -> dict:
    """Borrow a book for some days.

    book: code of the book
    days: number of days
    """
    facts.positive(days, "days")
    return {"due": facts.date(book, days)}


@library.tool(
    "(check|look up|show) which books (the author |){author} wrote< in {language}>",
    "(What|Which) books did (the author |){author} write< in {language}>?",
    "(list|show me) (all |the |)books by the author {author}< in {language}>",
    answer="{author} wrote {book}.",
)
def books_by_author(
    author: Annotated[str, POOLS["person"]], language: Literal["French", "German", "Spanish", "English"] = "English"
) -> dict:
    """List the books of an author.

    author: name of the author
    language: language of the books
    """
    return {"book": facts.title(author, language), "count": facts.number(2, 40, author)}


@library.tool(
    "(pay|settle) (the|my) library fine of {amount} dollars< for book {book}>",
    "I (have|want|need) to pay a fine of {amount} dollars< for (the |)book {book}>.",
    answer="The fine of {amount} dollars is paid.",
)
def pay_library_fine(book: Code, amount: Annotated[int, whole(2, 90)]) -> dict:
    """Pay the fine for a late book.

    book: code of the book
    amount: amount in dollars
    """
    return {"receipt": facts.code("fine", book, amount)}


@shopping.tool(
    "(compare|check|look up) the prices of (these products: |the products |){products}",
    "(How do the prices of {products} compare|Can you compare the prices of {products})?",
    "Which of these is cheapest, comparing prices: {products}?",
    answer="The cheapest is {cheapest}.",
)
def compare_prices(products: Annotated[list, several(POOLS["product"], 2, 3)]) -> dict:
    """Compare the prices of several products.

    products: names of the products
    """
    if len(set(products)) < 2:
        raise ValueError(f"nothing to compare in {products}")
    return {"cheapest": min(products, key=lambda product: facts.number(5, 900, product))}
