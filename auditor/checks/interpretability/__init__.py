"""What does the model look at, and can the explanation be trusted?"""
