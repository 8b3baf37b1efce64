"""What does the model do, and can the data be believed?"""
