"""How well does the model fine-tune?"""
